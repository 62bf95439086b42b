const KEPT: readonly string[] = ["PATH", "HOME", "TMPDIR", "LANG", "XDG_RUNTIME_DIR"];

/**
 * The environment of every program that is measured: a bare one, and what it is given. What a machine has besides may change what
 * one kind of program does and not the others: `NODE_EXTRA_CA_CERTS` alone costs each Node process more than its own start.
 */
export function bareEnvironment(given: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const kept = KEPT.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), ...given };
}
