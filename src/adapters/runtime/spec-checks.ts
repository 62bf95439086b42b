import { DinpError, type InstanceSpec, type RunSpec } from "@dinp/core";

const CLUSTER_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const INSTANCE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
/** Of what is not an id or a name, so much is shown. */
const SHOWN_CHARACTERS_MAX = 80;

/** Whether it can mark what is a cluster's: 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. */
export function isClusterId(text: string): boolean {
  return CLUSTER_ID.test(text);
}

/** Whether it can name a folder or a container: 1 to 128 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. */
export function isInstanceId(text: string): boolean {
  return INSTANCE_ID.test(text);
}

/** Throws `DINP_INVALID` unless the id, the port and the memory are such as an instance can have. */
export function assertInstanceSpec(spec: InstanceSpec): void {
  assertRunSpec(spec);
  const { port } = spec;
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return;
  throw new DinpError("DINP_INVALID", `${String(port)} is not a port.`, { hint: "Use 1 to 65535." });
}

/** As {@link assertInstanceSpec}, for a one-off, which has no port. */
export function assertRunSpec({ instanceId, memoryMb }: RunSpec): void {
  if (!isInstanceId(instanceId)) {
    throw new DinpError("DINP_INVALID", `${shown(instanceId)} is not an instance id.`, {
      hint: "Use 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', beginning with a letter or digit.",
    });
  }
  if (Number.isInteger(memoryMb) && memoryMb >= 1) return;
  throw new DinpError("DINP_INVALID", `${String(memoryMb)} MB is not an amount of memory.`, {
    hint: "Use a whole number of megabytes.",
  });
}

/** What is wrong with the variables or the words of a command, as a sentence; null when they can be handed to a program. */
export function findUnusable({ env, command }: Pick<RunSpec, "env" | "command">): string | null {
  for (const [name, value] of Object.entries(env)) {
    if (name === "" || /[=\0]/.test(name))
      return `The environment variable ${shown(name)} has no usable name.`;
    if (value.includes("\0")) return `The environment variable ${name} contains a NUL character.`;
  }
  if ((command[0] ?? "") === "") return "The command is empty.";
  if (command.some((word) => word.includes("\0"))) return "The command contains a NUL character.";
  return null;
}

/** Throws `TypeError` unless it is a time that a stop can be given. */
export function assertGraceMs(graceMs: number): void {
  if (!(graceMs >= 0)) throw new TypeError(`graceMs must not be negative, and it is ${String(graceMs)}.`);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, SHOWN_CHARACTERS_MAX));
}
