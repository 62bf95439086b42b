import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { DinpError, messageOf, type Clock, type ExecEvent, type Logger } from "@dinp/core";
import { isAborted } from "../runtime/aborting.js";
import type { MemoryCgroup } from "./cgroup.js";
import type { ChildEnd, Launched } from "./launcher.js";
import { KILL_WAIT_MS, POLL_MS, removeSoon, unending } from "./ending.js";
import { readProcess, type KernelUnits } from "./proc.js";
import { groupOf, membersOf, type Leader, type ProcessOwner } from "./process-members.js";
import type { ProcessEntry, ProcessTable } from "./process-table.js";
import { ProcessUse } from "./process-use.js";
import { signalGroup, signalProcess } from "./signals.js";

/** What all commands of a runtime share. */
export interface ExecutionContext {
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  readonly table: ProcessTable;
  readonly units: KernelUnits;
}

/** What a command is. */
export interface ExecutionFacts {
  readonly owner: ProcessOwner & { readonly execId: string };
  /** Takes the processes; null where the kernel's controller may not be used. */
  readonly cgroup: MemoryCgroup | null;
  /** The command's own limit; null when it counts with its instance, whose cgroup it joins. */
  readonly memoryMb: number | null;
  /** Removes what was made for it. Called once, when no process is left. */
  readonly cleanUp: () => Promise<void>;
  /** Why a signal that nobody here sent may have ended it. */
  readonly explainSignal: () => string | null;
}

/** From SIGTERM to SIGKILL. */
const GRACE_MS = 2_000;
/** How often its memory is measured, where the kernel does not limit it. */
const SAMPLE_MS = 500;
/** How long an output may stay open, silently, when no process of the command is left to write to it. */
const SILENT_OUTPUT_MS = 1_000;

/** One command with all of its processes, from its start until none is left, whether or not anyone reads its output. */
export class Execution {
  /** Resolves when no process and no folder of it is left; never rejects. */
  readonly ended: Promise<void>;
  readonly #context: ExecutionContext;
  readonly #facts: ExecutionFacts;
  readonly #child: ChildProcess;
  readonly #leader: Leader;
  readonly #outputs: readonly { readonly name: "stdout" | "stderr"; readonly readable: Readable }[];
  readonly #stopping = new AbortController();
  #end: ChildEnd | null = null;
  #isOver = false;
  #failure: Error | null = null;
  #isOutOfMemory = false;
  #oomKills = 0;
  #wake: () => void = () => undefined;

  /** Takes the waiting process over and lets it go on. */
  static begin(
    context: ExecutionContext,
    facts: ExecutionFacts,
    launched: Launched,
    stdin: Uint8Array | undefined,
  ): Execution {
    const { pid, child } = launched;
    const stat = readProcess(pid);
    const { stdin: input, stdout, stderr } = child;
    if (stat === null || input === null || stdout === null || stderr === null) {
      launched.cancel();
      throw new DinpError("DINP_UNAVAILABLE", "The command ended before it was let go on.", {
        retryable: true,
      });
    }
    try {
      facts.cgroup?.join(pid);
    } catch (error) {
      launched.cancel();
      throw error;
    }
    // A program that does not read its input is no failure.
    input.on("error", () => undefined);
    input.end(stdin);
    const leader = { pid, startTime: stat.startTime };
    const execution = new Execution(context, facts, child, leader, stdout, stderr);
    launched.release();
    return execution;
  }

  private constructor(
    context: ExecutionContext,
    facts: ExecutionFacts,
    child: ChildProcess,
    leader: Leader,
    stdout: Readable,
    stderr: Readable,
  ) {
    this.#context = context;
    this.#facts = facts;
    this.#child = child;
    this.#leader = leader;
    this.#outputs = [
      { name: "stdout", readable: stdout },
      { name: "stderr", readable: stderr },
    ];
    const news = (): void => {
      this.#wake();
    };
    for (const { readable } of this.#outputs) {
      for (const event of ["readable", "end", "error", "close"]) readable.on(event, news);
    }
    this.ended = this.#drive();
  }

  /** Asks all of its processes to end, and soon ends them. Idempotent. */
  stop(): void {
    this.#stopping.abort();
  }

  /** What it writes, as fast as it is taken, then its end. `DINP_UNAVAILABLE` when its processes do not end. */
  async *events(): AsyncGenerator<ExecEvent, void, undefined> {
    for (;;) {
      let isQuiet = true;
      for (const { name, readable } of this.#outputs) {
        const bytes: unknown = readable.read();
        if (!(bytes instanceof Uint8Array)) continue;
        isQuiet = false;
        yield { type: "output", stream: name, bytes };
      }
      if (!isQuiet) continue;
      const isRead = this.#outputs.every(({ readable }) => readable.readableEnded || readable.destroyed);
      if (this.#isOver && isRead) break;
      if (!(await this.#news(this.#isOver ? SILENT_OUTPUT_MS : null))) break;
    }
    if (this.#failure !== null) throw this.#failure;
    yield this.#exit();
  }

  /** Lets go of the outputs. */
  close(): void {
    for (const { readable } of this.#outputs) readable.destroy();
  }

  /** Null for a command in its instance's cgroup: there are others in it. */
  get #ownCgroup(): MemoryCgroup | null {
    return this.#facts.memoryMb === null ? null : this.#facts.cgroup;
  }

  #exit(): ExecEvent {
    const { code = null, signal = null } = this.#end ?? {};
    if (signal === null) return { type: "exit", code, signal, message: null };
    const limit = `It used more than its ${String(this.#facts.memoryMb)} MB of memory.`;
    const isOutOfMemory = this.#isOutOfMemory || (this.#facts.memoryMb !== null && this.#oomKills > 0);
    return { type: "exit", code, signal, message: isOutOfMemory ? limit : this.#facts.explainSignal() };
  }

  /** Resolves to true when something may have happened, to false after `ms`. */
  async #news(ms: number | null): Promise<boolean> {
    const timer = new AbortController();
    const woken = new Promise<boolean>((resolve) => {
      this.#wake = () => {
        resolve(true);
      };
    });
    const late =
      ms === null
        ? woken
        : this.#context.clock.sleep(ms, { signal: timer.signal }).then(
            () => false,
            () => false,
          );
    const result = await Promise.race([woken, late]);
    timer.abort();
    return result;
  }

  async #drive(): Promise<void> {
    const { cleanUp } = this.#facts;
    const cgroup = this.#ownCgroup;
    try {
      await this.#untilFirstEnds();
      await this.#endMembers();
      if (cgroup !== null) {
        this.#oomKills = cgroup.oomKills();
        await removeSoon(cgroup, this.#context.clock);
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(messageOf(error));
    }
    await cleanUp().catch((error: unknown) => {
      this.#context.logger?.warn("The folders of a command could not be removed.", {
        execution: this.#facts.owner.execId,
        error: messageOf(error),
      });
    });
    this.#isOver = true;
    this.#wake();
  }

  /** Resolves when the first process has ended; after a stop, by itself or killed. */
  async #untilFirstEnds(): Promise<void> {
    const over = new AbortController();
    const ended = new Promise<void>((resolve) => {
      const onExit = (code: number | null, signal: string | null): void => {
        this.#end = { code, signal };
        over.abort();
        resolve();
      };
      if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        onExit(this.#child.exitCode, this.#child.signalCode);
      else this.#child.once("exit", onExit);
    });
    const sampling = this.#sampleMemory(over.signal);
    const onStop = (): void => {
      void this.#ask(over.signal);
    };
    const { signal } = this.#stopping;
    if (signal.aborted) onStop();
    else signal.addEventListener("abort", onStop, { once: true });
    await ended;
    signal.removeEventListener("abort", onStop);
    await sampling;
  }

  async #ask(over: AbortSignal): Promise<void> {
    signalGroup(this.#leader.pid, "SIGTERM");
    // A stopped process takes no other signal before this one.
    signalGroup(this.#leader.pid, "SIGCONT");
    await this.#context.clock.sleep(GRACE_MS, { signal: over }).catch(() => undefined);
    if (!over.aborted) signalGroup(this.#leader.pid, "SIGKILL");
  }

  /** Ends it over its memory, where the kernel does not. */
  async #sampleMemory(over: AbortSignal): Promise<void> {
    const { memoryMb, cgroup } = this.#facts;
    if (memoryMb === null || cgroup !== null) return;
    const { clock, table, units } = this.#context;
    while (!over.aborted) {
      await clock.sleep(SAMPLE_MS, { signal: over }).catch(() => undefined);
      if (isAborted(over)) return;
      const use = new ProcessUse(this.#membersIn(await table.scan()), units);
      if (!use.isAbove(memoryMb * 1024 * 1024) || isAborted(over)) continue;
      this.#isOutOfMemory = true;
      signalGroup(this.#leader.pid, "SIGKILL");
      return;
    }
  }

  /** Ends what the first process left behind. */
  async #endMembers(): Promise<void> {
    const { clock, table } = this.#context;
    const own = this.#ownCgroup;
    const giveUpAt = clock.monotonicMs() + KILL_WAIT_MS;
    for (;;) {
      const members = this.#membersIn(await table.scan());
      if (members.length === 0 && own?.isEmpty() !== false) return;
      if (clock.monotonicMs() > giveUpAt) throw unending("the command");
      for (const member of members) signalProcess(member, "SIGKILL");
      own?.killAll();
      await clock.sleep(POLL_MS);
    }
  }

  #membersIn(entries: readonly ProcessEntry[]): readonly ProcessEntry[] {
    const others = new Set(this.#ownCgroup?.pids());
    return membersOf(entries, this.#facts.owner, groupOf(this.#leader, entries), others);
  }
}
