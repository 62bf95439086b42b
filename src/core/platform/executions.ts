import { DinpError, isDinpError, messageOf } from "../model/errors.js";
import { newId } from "../model/ids.js";
import type { App, InstanceStatus, Placement, Release } from "../model/records.js";
import type { ExecEvent } from "../ports/runtime.js";
import { readAppRecords, requireApp, requireCurrent, withSignal, type AppRecords } from "./app-records.js";
import { toRecord } from "./change.js";
import { commandText } from "./command-text.js";
import type { Caller, PlatformContext } from "./context.js";
import type { ExecRequest, RunRequest } from "./requests.js";
import { openSecrets } from "./secrets.js";
import { printable, quoted } from "./text.js";
import { assertInteger } from "./validate.js";

const TIMEOUT_MS_DEFAULT = 3_600_000;
const TIMEOUT_MS_MAX = 86_400_000;
const STDIN_BYTES_MAX = 1_048_576;
const WORDS_MAX = 256;
const COMMAND_LENGTH_MAX = 128 * 1024;

/** Who runs a command, and until when. */
export interface ExecutionOptions {
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/** One command that is about to run. */
interface Job {
  readonly kind: "exec" | "run";
  readonly app: App;
  readonly release: Release;
  readonly instanceId: string;
  readonly where: string;
  readonly open: (signal: AbortSignal) => AsyncIterable<ExecEvent>;
}

/** The commands that users run beside instances and as one-offs: bounded in number and time, each with its events. */
export class PlatformExecutions {
  readonly #context: PlatformContext;
  readonly #running = new Map<string, number>();

  constructor(context: PlatformContext) {
    this.#context = context;
  }

  /** A command beside an instance: the named one, else a ready one, else any that runs. */
  async *exec(name: string, request: ExecRequest, options: ExecutionOptions): AsyncGenerator<ExecEvent> {
    assertRequest(request);
    const { store, cluster } = this.#context;
    const { value: app } = await requireApp(store, name, options);
    const records = await readAppRecords(store, app, options);
    const { placement, release } = chooseInstance(records, request.instance);
    const { instanceId, nodeId } = placement;
    const where = `in ${instanceId}`;
    const open = (signal: AbortSignal): AsyncIterable<ExecEvent> =>
      cluster().exec({ nodeId, instanceId, ...commandOf(request), signal });
    yield* this.#execute({ kind: "exec", app, release, instanceId, where, open }, request, options);
  }

  /** A one-off of a release: the numbered one, else the current one. The app may be stopped. */
  async *run(name: string, request: RunRequest, options: ExecutionOptions): AsyncGenerator<ExecEvent> {
    assertRequest(request);
    const { store, cluster, random } = this.#context;
    const { value: app } = await requireApp(store, name, options);
    const release = await this.#releaseOf(app, request.release, options);
    const runId = newId(random, "run");
    const { name: appName, grants } = app;
    const what = { runId, appName, release, ...(grants === undefined ? {} : { grants }) };
    const open = (signal: AbortSignal): AsyncIterable<ExecEvent> =>
      cluster().runOnce({ ...what, ...commandOf(request), signal });
    const where = `as a one-off of release ${String(release.number)}`;
    yield* this.#execute({ kind: "run", app, release, instanceId: runId, where, open }, request, options);
  }

  async #releaseOf(app: App, number: number | undefined, options: ExecutionOptions): Promise<Release> {
    const { store } = this.#context;
    if (number === undefined) return requireCurrent(store, app, options);
    const found = await store.getUnique(
      "release",
      "number",
      `${app.id}/${String(number)}`,
      withSignal(options),
    );
    if (found !== null) return found.value;
    throw new DinpError("DINP_NOT_FOUND", `The app ${quoted(app.name)} has no release ${String(number)}.`, {
      hint: "List its releases to see their numbers.",
      details: { field: "release" },
    });
  }

  async *#execute(
    job: Job,
    request: ExecRequest | RunRequest,
    options: ExecutionOptions,
  ): AsyncGenerator<ExecEvent> {
    const { executionsPerAppMax, clock } = this.#context;
    const count = this.#running.get(job.app.id) ?? 0;
    if (count >= executionsPerAppMax) {
      throw new DinpError(
        "DINP_BUSY",
        `${String(count)} commands of ${quoted(job.app.name)} run, which is as many as may.`,
        { retryable: true, hint: "Wait until one has ended." },
      );
    }
    this.#running.set(job.app.id, count + 1);
    const over = new AbortController();
    const timeoutMs = request.timeoutMs ?? TIMEOUT_MS_DEFAULT;
    const startedAt = clock.monotonicMs();
    let outcome = "its client left";
    try {
      const text = `${job.kind} ${job.where}: ${await this.#commandText(job, request, options)}`;
      await this.#tell(job, `${job.kind}.started`, text, options.caller.subject);
      const limit = this.#limit(timeoutMs, over);
      try {
        for await (const event of job.open(AbortSignal.any([options.signal, over.signal]))) {
          if (event.type === "exit") outcome = endText(event);
          yield event;
        }
      } finally {
        limit.abort();
      }
    } catch (error) {
      outcome = printable(messageOf(error), 300);
      if (!over.signal.aborted || !isDinpError(error, "DINP_ABORTED")) throw error;
      outcome = `it was ended after ${String(timeoutMs / 1000)} s`;
      throw new DinpError(
        "DINP_TIMEOUT",
        `The command was ended after ${String(timeoutMs / 1000)} s, its time-out.`,
        {
          hint: "Give it a longer timeout.",
          details: { timeoutMs },
        },
      );
    } finally {
      const left = (this.#running.get(job.app.id) ?? 1) - 1;
      if (left > 0) this.#running.set(job.app.id, left);
      else this.#running.delete(job.app.id);
      const seconds = ((clock.monotonicMs() - startedAt) / 1000).toFixed(1);
      const text = `${job.kind} ${job.where} ended after ${seconds} s: ${outcome}`;
      await this.#tell(job, `${job.kind}.ended`, text, options.caller.subject).catch((error: unknown) => {
        this.#context.logger.warn("the end of a command could not be written down", {
          app: job.app.name,
          error: messageOf(error),
        });
      });
    }
  }

  /** A command may hold a secret: without knowing the secrets, only its program is told. */
  async #commandText(
    { release }: Job,
    { command }: ExecRequest | RunRequest,
    options: ExecutionOptions,
  ): Promise<string> {
    try {
      const secrets = await openSecrets(this.#context, release, options);
      return commandText(command, { ...release.manifestEnv, ...release.env, ...secrets });
    } catch (error) {
      if (isDinpError(error, "DINP_ABORTED")) throw error;
      return `${commandText(command.slice(0, 1), {})} …`;
    }
  }

  /** Aborts `over` after that time, until it is aborted itself. */
  #limit(ms: number, over: AbortController): AbortController {
    const timer = new AbortController();
    this.#context.clock.sleep(ms, { signal: timer.signal }).then(
      () => {
        over.abort();
      },
      () => undefined,
    );
    return timer;
  }

  async #tell(job: Job, type: string, message: string, actor: string): Promise<void> {
    const { clock, store } = this.#context;
    const record = toRecord(this.#context, { type, message, app: job.app }, actor, clock.now());
    const value = { ...record, instanceId: job.instanceId };
    await store.commit([{ op: "put", kind: "event", value, ifRevision: "absent" }]);
  }
}

function endText(event: ExecEvent & { readonly type: "exit" }): string {
  if (event.message !== null) return event.message;
  return event.signal === null ? `exit code ${String(event.code)}` : `signal ${event.signal}`;
}

function commandOf({ command, stdin }: ExecRequest | RunRequest): {
  readonly command: readonly string[];
  readonly stdin?: Uint8Array;
} {
  return stdin === undefined ? { command } : { command, stdin };
}

function chooseInstance(
  records: AppRecords,
  wanted: string | undefined,
): { readonly placement: Placement; readonly release: Release } {
  const running = records.placements.filter(({ instanceId }) => {
    const status: InstanceStatus | undefined = records.statuses.get(instanceId);
    return status?.phase === "running" || status?.phase === "stopping";
  });
  const ready = running.filter(({ instanceId }) => records.statuses.get(instanceId)?.ready === true);
  // One that is on its way out may be of an older release.
  const staying = ready.find(({ desired }) => desired === "running");
  const placement =
    wanted === undefined
      ? (staying ?? ready[0] ?? running[0])
      : running.find(({ instanceId }) => instanceId === wanted);
  const release = placement === undefined ? undefined : records.releases.get(placement.releaseId);
  if (placement !== undefined && release !== undefined) return { placement, release };
  const what = wanted === undefined ? "instance" : `instance ${quoted(wanted)}`;
  const known = running.map(({ instanceId }) => instanceId).slice(0, 10);
  throw new DinpError("DINP_NOT_FOUND", `The app ${quoted(records.app.name)} has no running ${what}.`, {
    hint:
      known.length === 0
        ? "Nothing of it runs now; a one-off (`run`) needs no instance."
        : `These run: ${known.join(", ")}.`,
    details: { field: "instance" },
  });
}

function assertRequest({ command, stdin, timeoutMs }: ExecRequest | RunRequest): void {
  const invalid = (field: string, message: string): DinpError =>
    new DinpError("DINP_INVALID", message, { details: { field } });
  if ((command[0] ?? "") === "") throw invalid("command", "The command is empty.");
  if (command.length > WORDS_MAX)
    throw invalid("command", `The command has more than ${String(WORDS_MAX)} words.`);
  if (command.some((word) => word.includes("\0")))
    throw invalid("command", "The command contains a NUL character.");
  if (command.reduce((sum, word) => sum + word.length, 0) > COMMAND_LENGTH_MAX)
    throw invalid("command", `The command is longer than ${String(COMMAND_LENGTH_MAX)} characters.`);
  if ((stdin?.length ?? 0) > STDIN_BYTES_MAX) {
    throw new DinpError("DINP_TOO_LARGE", "The command's input is larger than 1 MiB.", {
      hint: "Let the command fetch it, or put it into a release.",
      details: { field: "stdin" },
    });
  }
  if (timeoutMs !== undefined) assertInteger("timeoutMs", timeoutMs, 1_000, TIMEOUT_MS_MAX);
}
