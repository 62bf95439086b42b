/** What the parser of arguments wants of `node:child_process`, loaded when it is called. */
export function spawn(command: string, args: readonly string[]): unknown {
  return process.getBuiltinModule("node:child_process").spawn(command, args, { stdio: "inherit" });
}
