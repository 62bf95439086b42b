import { DinpError } from "../../model/errors.js";
import { readDockerfile, type RawInstruction } from "./read-dockerfile.js";
import { refusedAt, shown } from "./refusal.js";

/** From one `FROM` to the next. */
export interface DockerfileStage {
  readonly from: RawInstruction;
  /** Lower case; null when it has none. */
  readonly name: string | null;
  /** As it is written, variables in it. */
  readonly base: string;
  readonly instructions: readonly RawInstruction[];
}

export interface Dockerfile {
  readonly escape: string;
  /** `ARG`s before the first `FROM`. */
  readonly globals: readonly RawInstruction[];
  readonly stages: readonly DockerfileStage[];
}

/** What is done here, and the flags that it may have. */
const KNOWN: ReadonlyMap<string, readonly string[]> = new Map([
  ["FROM", []],
  ["ARG", []],
  ["ENV", []],
  ["WORKDIR", []],
  ["COPY", ["from", "chown", "chmod"]],
  ["ADD", ["chown", "chmod"]],
  ["RUN", []],
  ["SHELL", []],
  ["USER", []],
  ["CMD", []],
  ["ENTRYPOINT", []],
  ["EXPOSE", []],
  ["LABEL", []],
  ["VOLUME", []],
  ["STOPSIGNAL", []],
  ["HEALTHCHECK", ["interval", "timeout", "start-period", "start-interval", "retries"]],
  ["MAINTAINER", []],
]);

/** Why a flag is refused, and what to do instead. */
const FLAG_HINTS: ReadonlyMap<string, string> = new Map([
  ["FROM --platform", "Leave it out: images are built for the nodes' kind of machine."],
  ["RUN --mount", "COPY what the command needs, and remove it in the same RUN if it must not stay."],
  ["RUN --network", "Leave it out: whoever operates the platform chooses the network."],
  ["RUN --security", "Leave it out: no program of a build has more rights than others."],
  ["COPY --link", "Leave it out: the result is the same."],
  ["ADD --link", "Leave it out: the result is the same."],
]);

const STAGE = /^(\S+)(?:\s+AS\s+([A-Za-z][A-Za-z0-9._-]{0,127}))?$/i;
const STAGES_MAX = 50;

/**
 * The stages of a Dockerfile. Everything that the platform does not do is refused before anything is done: `DINP_INVALID` names
 * the line, the instruction and what to do.
 */
export function parseDockerfile(text: string): Dockerfile {
  const { instructions, escape } = readDockerfile(text);
  for (const each of instructions) assertKnown(each);
  const first = instructions.findIndex(({ keyword }) => keyword === "FROM");
  if (first < 0) {
    throw new DinpError("DINP_INVALID", "The Dockerfile has no FROM.", {
      hint: "Begin it with FROM and the name of a base image, such as FROM node.",
      details: { field: "Dockerfile" },
    });
  }
  const globals = instructions.slice(0, first);
  const early = globals.find(({ keyword }) => keyword !== "ARG");
  if (early !== undefined) throw refusedAt(early, "it stands before the first FROM", "Put it after FROM.");
  const stages: DockerfileStage[] = [];
  let own: RawInstruction[] = [];
  for (const each of instructions.slice(first)) {
    if (each.keyword !== "FROM") {
      own.push(each);
      continue;
    }
    own = [];
    stages.push({ ...stageOf(each), from: each, instructions: own });
  }
  const beyond = stages[STAGES_MAX];
  if (beyond !== undefined)
    throw refusedAt(beyond.from, `there are more than ${String(STAGES_MAX)} stages`, "Use fewer.");
  return { escape, globals, stages };
}

function stageOf(from: RawInstruction): { readonly base: string; readonly name: string | null } {
  const [, base, name] = STAGE.exec(from.text) ?? [];
  if (base === undefined)
    throw refusedAt(
      from,
      `${JSON.stringify(shown(from.text, 80))} is not IMAGE or IMAGE AS NAME`,
      "Write FROM node AS build.",
    );
  return { base, name: name === undefined ? null : name.toLowerCase() };
}

function assertKnown(instruction: RawInstruction): void {
  const { keyword, flags, text } = instruction;
  const known = KNOWN.get(keyword);
  if (keyword === "ONBUILD")
    throw refusedAt(
      instruction,
      "what other builds are to do is not kept",
      "Write it in the Dockerfiles of those.",
    );
  if (known === undefined)
    throw refusedAt(
      instruction,
      "it is no instruction that is known here",
      `Use one of ${[...KNOWN.keys()].join(", ")}.`,
    );
  for (const [flag, value] of flags) {
    const hint = FLAG_HINTS.get(`${keyword} --${flag}`) ?? "Leave it out.";
    if (!known.includes(flag)) throw refusedAt(instruction, `--${flag} is not allowed`, hint);
    if (value === null || value === "")
      throw refusedAt(instruction, `--${flag} has no value`, `Write --${flag}=VALUE.`);
  }
  if (text.includes("\0")) throw refusedAt(instruction, "it has a zero byte", "Save the file as text.");
  if (/^--/.test(text) && ["FROM", "RUN", "COPY", "ADD"].includes(keyword))
    throw refusedAt(
      instruction,
      `${JSON.stringify(shown(text, 40))} is not a flag that is known`,
      "Leave it out.",
    );
  if (text === "") throw refusedAt(instruction, "nothing follows it", "Complete it, or leave it out.");
}
