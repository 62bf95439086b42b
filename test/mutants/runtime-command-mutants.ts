import { DinpError, isDinpError, type ExecEvent, type ExecOptions, type Runtime } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { brokenRuntime, loseChildren, type RuntimePort } from "./support/broken-runtime.js";
import type { MemoryMachine } from "./support/memory-runtime/machine.js";

const BESIDE =
  "exec runs beside its instance, as it: environment and folders; streams and exit code are its own";
const NO_SHELL = "exec: no shell looks at the command, and there is no terminal";
const STDIN = "exec: standard input is given whole and then ends, and is empty without";
const BYTES = "exec: bytes come through unchanged, and an end by a signal is told as one";
const LAZY = "exec: it begins when the first event is asked for";
const NO_INSTANCE = "exec: an instance that is not there is not found, one that has ended is refused";
const UNUSABLE = "exec: a program that is not there is named, a command that is none is refused";
const UNREAD = "exec: a command writes no faster than its events are taken";
const ABORT = "exec: an abort ends all of its processes, and not its instance";
const ABORTED = "exec and run: a signal that has aborted lets nothing begin";
const LEAVES = "exec: a reader that leaves ends all of its processes";
const FIRST_ENDS = "exec: what the first process leaves behind ends with it";
const STOP = "exec: a stop of the instance ends the command, and the reader is told why";
const OWN_END = "exec: the instance's own end is the command's";
const CLOSE = "close ends commands and one-offs, and leaves the instance";

type Exec = (instanceId: string, options: ExecOptions) => AsyncIterable<ExecEvent>;

function brokenExec(
  name: string,
  caughtBy: string,
  breaks: (exec: Exec, runtime: Runtime, machine: MemoryMachine) => Exec,
): Mutant<RuntimePort> {
  return brokenRuntime(name, caughtBy, (runtime, machine) => ({
    exec: breaks((instanceId, options) => runtime.exec(instanceId, options), runtime, machine),
  }));
}

async function* changed(
  events: AsyncIterable<ExecEvent>,
  change: (event: ExecEvent) => ExecEvent,
): AsyncGenerator<ExecEvent, void> {
  for await (const event of events) yield change(event);
}

/** Commands whose processes are started as `change` says. */
function startedWith(
  change: (env: Readonly<Record<string, string>>) => Readonly<Record<string, string>>,
): (exec: Exec, runtime: Runtime, machine: MemoryMachine) => Exec {
  return (exec, _runtime, machine) => {
    machine.onSpawn = (asked) =>
      asked.group.startsWith("exec") ? { ...asked, env: change(asked.env) } : asked;
    return exec;
  };
}

/** Reads up to so many events before anybody asks for them. */
async function* readAhead(
  begin: (signal: AbortSignal) => AsyncIterable<ExecEvent>,
  signal: AbortSignal,
  max: number,
): AsyncGenerator<ExecEvent, void> {
  const left = new AbortController();
  const iterator = begin(AbortSignal.any([signal, left.signal]))[Symbol.asyncIterator]();
  const read: Promise<IteratorResult<ExecEvent>>[] = [];
  const next = (): Promise<IteratorResult<ExecEvent>> => {
    const event = iterator.next();
    event.catch(() => undefined);
    return event;
  };
  const reading = (async () => {
    for (let count = 0; count < max; count += 1) {
      const event = next();
      read.push(event);
      if ((await event.catch(() => ({ done: true }))).done === true) return;
    }
  })();
  try {
    for (;;) {
      const event = await (read.shift() ?? next());
      if (event.done === true) return;
      yield event.value;
    }
  } finally {
    left.abort();
    await reading;
  }
}

/** Mutants of `exec`. */
export const runtimeCommandMutants: readonly Mutant<RuntimePort>[] = [
  brokenExec(
    "a command has none of the app's own variables",
    BESIDE,
    startedWith((env) => Object.fromEntries(Object.entries(env).filter(([name]) => name !== "NAME"))),
  ),
  brokenExec(
    "a command has folders of its own",
    BESIDE,
    startedWith((env) => ({ ...env, HOME: "/data/elsewhere" })),
  ),
  brokenExec("both streams are told as one", BESIDE, (exec) => (...call) => {
    return changed(exec(...call), (event) =>
      event.type === "output" ? { ...event, stream: "stdout" } : event,
    );
  }),
  brokenExec("a shell looks at the words of a command", NO_SHELL, (exec) => (instanceId, options) => {
    const command = options.command.flatMap((word) => word.split(" ").filter((part) => part !== ""));
    return exec(instanceId, options.command.length === 0 ? options : { ...options, command });
  }),
  brokenExec("a command gets a terminal", NO_SHELL, (exec, _runtime, machine) => {
    machine.onSpawn = (asked) => ({ ...asked, isTerminal: asked.group.startsWith("exec") });
    return exec;
  }),
  brokenExec("standard input is cut after 64 KiB", STDIN, (exec) => (instanceId, options) => {
    const stdin = options.stdin?.subarray(0, 65_536);
    return exec(instanceId, { ...options, ...(stdin === undefined ? {} : { stdin }) });
  }),
  brokenExec("output is taken for text", BYTES, (exec) => (...call) => {
    return changed(exec(...call), (event) => {
      if (event.type === "exit") return event;
      return { ...event, bytes: new TextEncoder().encode(new TextDecoder().decode(event.bytes)) };
    });
  }),
  brokenExec("an end by a signal is told as a code", BYTES, (exec) => (...call) => {
    return changed(exec(...call), (event) =>
      event.type === "exit" && event.signal === "SIGUSR2" ? { ...event, code: 140, signal: null } : event,
    );
  }),
  brokenExec("a command begins before anybody asks", LAZY, (exec) => (...call) => {
    const iterator = exec(...call)[Symbol.asyncIterator]();
    const first = iterator.next();
    first.catch(() => undefined);
    return (async function* () {
      try {
        for (let next = await first; next.done !== true; next = await iterator.next()) yield next.value;
      } finally {
        await iterator.return?.();
      }
    })();
  }),
  brokenExec("an instance that has ended is not found by a command", NO_INSTANCE, (exec, runtime) => {
    return async function* (instanceId, options) {
      const found = (await runtime.list()).find((instance) => instance.instanceId === instanceId);
      if (found?.state === "exited") throw new DinpError("DINP_NOT_FOUND", "There is no such instance.");
      yield* exec(instanceId, options);
    };
  }),
  brokenExec("a program that is missing is told as code 127", UNUSABLE, (exec) => {
    return async function* (...call) {
      try {
        yield* exec(...call);
      } catch (error) {
        if (!isDinpError(error, "DINP_PROGRAM_MISSING")) throw error;
        yield { type: "exit", code: 127, signal: null, message: null };
      }
    };
  }),
  brokenExec("an empty command is told as a missing program", UNUSABLE, (exec) => {
    return async function* (instanceId, options) {
      if (options.command.length === 0) throw new DinpError("DINP_PROGRAM_MISSING", "The command is empty.");
      yield* exec(instanceId, options);
    };
  }),
  brokenExec(
    "output is read before it is asked for",
    UNREAD,
    (exec) => (instanceId, options) =>
      readAhead((signal) => exec(instanceId, { ...options, signal }), options.signal, 300),
  ),
  brokenExec("an abort ends the first process of a command only", ABORT, (exec, _runtime, machine) => {
    return (instanceId, options) => {
      options.signal.addEventListener("abort", () => {
        loseChildren(machine, "exec");
      });
      return exec(instanceId, options);
    };
  }),
  brokenExec("an abort is told as the command's end", ABORT, (exec) => {
    return async function* (instanceId, options) {
      const wasAborted = options.signal.aborted;
      try {
        yield* exec(instanceId, options);
      } catch (error) {
        if (wasAborted || !isDinpError(error, "DINP_ABORTED")) throw error;
        yield { type: "exit", code: null, signal: "SIGKILL", message: null };
      }
    };
  }),
  brokenExec("a command of a signal that has aborted is begun and ended", ABORTED, (exec) => {
    return async function* (instanceId, options) {
      if (options.signal.aborted) {
        const { signal } = new AbortController();
        for await (const event of exec(instanceId, { ...options, signal })) if (event.type === "exit") break;
      }
      yield* exec(instanceId, options);
    };
  }),
  brokenExec("a reader that leaves is not noticed", LEAVES, (exec) => (...call) => {
    const iterator = exec(...call)[Symbol.asyncIterator]();
    return { [Symbol.asyncIterator]: () => ({ next: () => iterator.next() }) };
  }),
  brokenExec("what the first process leaves behind lives on", FIRST_ENDS, (exec, _runtime, machine) => {
    machine.onEnd = ({ group, options }, { code }) => {
      if (options.isFirst && code !== null && group.startsWith("exec")) loseChildren(machine, "exec");
    };
    return exec;
  }),
  brokenRuntime(
    "a stop of the instance ends the first process of a command only",
    STOP,
    (runtime, machine) => ({
      stop: (...call) => {
        loseChildren(machine, "exec");
        return runtime.stop(...call);
      },
    }),
  ),
  brokenExec("a command that ends with its instance does not say so", STOP, (exec) => (...call) => {
    return changed(exec(...call), (event) => (event.type === "exit" ? { ...event, message: null } : event));
  }),
  brokenExec("a command outlives an instance that ends by itself", OWN_END, (exec, _runtime, machine) => {
    machine.onEnd = ({ group, options }, { code }) => {
      if (options.isFirst && code !== null && group.startsWith("instance")) loseChildren(machine, "exec");
    };
    return exec;
  }),
  ...(["exec", "run"] as const).map((kind) =>
    brokenRuntime(`close ends the first process of ${kind} only`, CLOSE, (runtime, machine) => ({
      close: () => {
        loseChildren(machine, kind);
        return runtime.close();
      },
    })),
  ),
];
