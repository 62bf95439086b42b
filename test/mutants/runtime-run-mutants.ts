import {
  DinpError,
  isDinpError,
  type ExecEvent,
  type ExecOptions,
  type Runtime,
  type RunSpec,
} from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { brokenRuntime, loseChildren, type RuntimePort } from "./support/broken-runtime.js";
import type { MemoryMachine } from "./support/memory-runtime/machine.js";

const ENVIRONMENT = "run: a one-off has its release's environment, and no port";
const COMMAND = "run: it runs the command that it is given, without an instance and unlisted";
const FOLDERS = "run: its folders are its own, and gone afterwards";
const ABORT = "run: an abort ends all of its processes";
const MEMORY = "run: over its memory it is ended, and that is said";
const UNPREPARED = "run: an image that is not prepared is refused";
const UNUSABLE = "run: a program that is not there is named, a command that is none is refused";

type Run = (spec: RunSpec, options: ExecOptions) => AsyncIterable<ExecEvent>;

function brokenRun(
  name: string,
  caughtBy: string,
  breaks: (run: Run, machine: MemoryMachine, runtime: Runtime) => Run,
): Mutant<RuntimePort> {
  return brokenRuntime(name, caughtBy, (runtime, machine) => ({
    run: breaks((spec, options) => runtime.run(spec, options), machine, runtime),
  }));
}

/** One-offs whose processes have these variables. */
function startedWith(more: Readonly<Record<string, string>>): (run: Run, machine: MemoryMachine) => Run {
  return (run, machine) => {
    machine.onSpawn = (asked) =>
      asked.group.startsWith("run") ? { ...asked, env: { ...asked.env, ...more } } : asked;
    return run;
  };
}

/** Mutants of `run`. */
export const runtimeRunMutants: readonly Mutant<RuntimePort>[] = [
  brokenRun("a one-off has a port", ENVIRONMENT, startedWith({ PORT: "8080" })),
  brokenRun("a one-off has none of its release's variables", ENVIRONMENT, (run) => (spec, options) => {
    return run({ ...spec, env: {} }, options);
  }),
  brokenRun("a one-off has no standard input", ENVIRONMENT, (run) => (spec, { command, signal }) => {
    return run(spec, { command, signal });
  }),
  brokenRuntime("a one-off is listed while it runs", COMMAND, (runtime) => {
    const running = new Set<RunSpec>();
    return {
      run: async function* (spec, options) {
        running.add(spec);
        try {
          yield* runtime.run(spec, options);
        } finally {
          running.delete(spec);
        }
      },
      list: async (options) => [
        ...(await runtime.list(options)),
        ...[...running].map(({ instanceId, appId, releaseId }) => ({
          ...{ instanceId, appId, releaseId, host: "127.0.0.1", port: 0, startedAt: 0, exit: null },
          state: "running" as const,
        })),
      ],
    };
  }),
  brokenRun("what a one-off leaves behind lives on", COMMAND, (run, machine) => {
    machine.onEnd = ({ group, options }, { code }) => {
      if (options.isFirst && code !== null && group.startsWith("run")) loseChildren(machine, "run");
    };
    return run;
  }),
  brokenRun(
    "all one-offs share their folders",
    FOLDERS,
    startedWith({ HOME: "/data/run", TMPDIR: "/data/tmp" }),
  ),
  brokenRun("the folders of a one-off stay", FOLDERS, (run, machine) => {
    const files = new Set<string>();
    machine.onSpawn = (asked) => {
      if (asked.group.startsWith("run")) files.add(`${asked.env["TMPDIR"] ?? ""}/left`);
      return asked;
    };
    return async function* (...call) {
      yield* run(...call);
      for (const file of files) machine.files.set(file, "behind");
    };
  }),
  brokenRun("an abort ends the first process of a one-off only", ABORT, (run, machine) => (spec, options) => {
    options.signal.addEventListener("abort", () => {
      loseChildren(machine, "run");
    });
    return run(spec, options);
  }),
  brokenRun("an abort of a one-off is told as its end", ABORT, (run) => {
    return async function* (spec, options) {
      const wasAborted = options.signal.aborted;
      try {
        yield* run(spec, options);
      } catch (error) {
        if (wasAborted || !isDinpError(error, "DINP_ABORTED")) throw error;
        yield { type: "exit", code: null, signal: "SIGKILL", message: null };
      }
    };
  }),
  brokenRun("a one-off that is ended over its memory does not say so", MEMORY, (run) => {
    return async function* (...call) {
      for await (const event of run(...call))
        yield event.type === "exit" ? { ...event, message: null } : event;
    };
  }),
  brokenRun("a one-off takes an image that is not prepared for an outage", UNPREPARED, (run) => {
    return async function* (...call) {
      try {
        yield* run(...call);
      } catch (error) {
        if (!isDinpError(error, "DINP_IMAGE_NOT_FOUND")) throw error;
        throw new DinpError("DINP_UNAVAILABLE", "The image could not be fetched.", { retryable: true });
      }
    };
  }),
  brokenRun("a missing program of a one-off is told as code 127", UNUSABLE, (run) => {
    return async function* (...call) {
      try {
        yield* run(...call);
      } catch (error) {
        if (!isDinpError(error, "DINP_PROGRAM_MISSING")) throw error;
        yield { type: "exit", code: 127, signal: null, message: null };
      }
    };
  }),
];
