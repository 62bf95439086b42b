import assert from "node:assert/strict";
import type { ExecEvent, ExecOptions, InstanceSpec, RunSpec } from "../ports/runtime.js";
import { within } from "./conformance.js";
import { never, type RuntimeBench, runSpecOf } from "./runtime-harness.js";
import type { SelfPortrait } from "./runtime-programs.js";
import type { Watchman } from "./runtime-watchman.js";

type Exit = Extract<ExecEvent, { readonly type: "exit" }>;

/** The command of one of the suite's programs. */
export function node(file: string, ...args: readonly string[]): readonly string[] {
  return ["node", file, ...args];
}

/** Leaves a process behind, and ends, with code 4, when the watchman speaks. */
export function parent({ host, port }: Watchman): readonly string[] {
  return node("parent.js", host, String(port));
}

export const SOME_INPUT = new TextEncoder().encode("go");

export function exec(
  { runtime }: RuntimeBench,
  { instanceId }: InstanceSpec,
  command: readonly string[],
  options: Partial<ExecOptions> = {},
): AsyncIterable<ExecEvent> {
  return runtime.exec(instanceId, { command, signal: never(), ...options });
}

export function run(
  { runtime }: RuntimeBench,
  spec: InstanceSpec,
  command: readonly string[],
  options: Partial<ExecOptions> & { readonly parts?: Partial<RunSpec> } = {},
): AsyncIterable<ExecEvent> {
  const { parts, ...others } = options;
  return runtime.run({ ...runSpecOf(spec), ...parts }, { command, signal: never(), ...others });
}

/** All that it wrote, and its one end, which comes last. */
export async function outcome(
  events: AsyncIterable<ExecEvent>,
): Promise<{ readonly out: Uint8Array; readonly err: string; readonly exit: Exit }> {
  const written: Record<"stdout" | "stderr", Uint8Array[]> = { stdout: [], stderr: [] };
  const exits: Exit[] = [];
  const read = async (): Promise<void> => {
    for await (const event of events) {
      assert.equal(exits.length, 0, "Something came after the end.");
      if (event.type === "exit") exits.push(event);
      else written[event.stream].push(event.bytes);
    }
  };
  await within(read(), "the end of a command");
  const [exit] = exits;
  assert.ok(exit !== undefined, "There was no end.");
  return { out: Buffer.concat(written.stdout), err: Buffer.concat(written.stderr).toString(), exit };
}

export async function textOf(events: AsyncIterable<ExecEvent>): Promise<string> {
  return new TextDecoder().decode((await outcome(events)).out);
}

export async function portraitOf(
  events: AsyncIterable<ExecEvent>,
): Promise<{ readonly portrait: SelfPortrait; readonly err: string; readonly exit: Exit }> {
  const { out, err, exit } = await outcome(events);
  return { portrait: JSON.parse(new TextDecoder().decode(out)) as SelfPortrait, err, exit };
}
