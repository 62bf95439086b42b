import { DinpError } from "../../model/errors.js";

/** Where in a Dockerfile something stands. */
export interface DockerfilePlace {
  /** From 1. */
  readonly line: number;
  /** The instruction's name, in upper case. */
  readonly keyword: string;
}

const SHOWN_MAX = 300;

/** `DINP_INVALID` that names line and instruction, and what to do. */
export function refusedAt({ line, keyword }: DockerfilePlace, why: string, hint: string): DinpError {
  return new DinpError("DINP_INVALID", shown(`Dockerfile line ${String(line)}, ${keyword}: ${why}.`), {
    hint: shown(hint),
    details: { field: "Dockerfile", line, instruction: keyword },
  });
}

/** Text of an upload in a message: one line of bounded length. */
export function shown(text: string, max = SHOWN_MAX): string {
  const line = text.replace(/[\0-\x1f\x7f-\x9f\u2028\u2029]+/g, " ").trim();
  return line.length <= max ? line : `${line.slice(0, max)}…`;
}
