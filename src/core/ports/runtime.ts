import type { AppGrants, AppId, ImageRef, InstanceExit, InstanceId, ReleaseId } from "../model/records.js";

/** All that a runtime needs to start an instance. */
export interface InstanceSpec {
  readonly instanceId: InstanceId;
  readonly appId: AppId;
  readonly appName: string;
  readonly releaseId: ReleaseId;
  readonly image: ImageRef;
  readonly command: readonly string[];
  /** The app's own variables. The runtime adds `PORT`, `PATH`, `HOME`, `TMPDIR` and the `DINP_*` ones, which win. */
  readonly env: Readonly<Record<string, string>>;
  /** Variables of `env` whose values are secrets: the runtime writes them down nowhere that it can help. Absent: none. */
  readonly secretNames?: readonly string[];
  readonly memoryMb: number;
  readonly cpuMillis: number;
  /** The port on the node's address where the instance must answer: chosen by the agent. */
  readonly port: number;
  /** What it may do beyond the runtime's defaults, where the runtime can grant it. Absent: nothing. */
  readonly grants?: AppGrants;
}

/** An instance as the runtime sees it now. */
export interface RuntimeInstance {
  readonly instanceId: InstanceId;
  readonly appId: AppId;
  readonly releaseId: ReleaseId;
  readonly state: "running" | "exited";
  readonly host: string;
  readonly port: number;
  readonly startedAt: number;
  /** Set when `state` is `exited`. */
  readonly exit: InstanceExit | null;
}

export interface LogLine {
  readonly instanceId: InstanceId;
  readonly text: string;
}

export interface InstanceStats {
  readonly instanceId: InstanceId;
  readonly memoryBytes: number;
  /** Processor time used since the start. */
  readonly cpuMs: number;
  readonly processes: number;
}

/** What a one-off of a release runs with: an instance's specification without a port. Its id is no instance's. */
export type RunSpec = Omit<InstanceSpec, "port">;

/** A command to be run to its end. */
export interface ExecOptions {
  /** Program and arguments; no shell looks at them. */
  readonly command: readonly string[];
  /** All of its standard input, which then ends. Default: empty. */
  readonly stdin?: Uint8Array;
  /** The secrets in the environment of the instance that the command runs beside, for runtimes that have not kept them. */
  readonly secrets?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** What a command wrote, as it came; then, once and last, how its first process ended. */
export type ExecEvent =
  | { readonly type: "output"; readonly stream: "stdout" | "stderr"; readonly bytes: Uint8Array }
  | {
      readonly type: "exit";
      /** Null when a signal ended it. */
      readonly code: number | null;
      readonly signal: string | null;
      /** Why, when it was the platform that ended it (its memory, its instance's end), else null. */
      readonly message: string | null;
    };

export interface RuntimeCapacity {
  /** `process`, `docker` … */
  readonly runtime: string;
  readonly memoryMb: number;
  readonly cpuMillis: number;
  /** Well-known interpreters found on the node, or null when images bring their own. */
  readonly programs: readonly string[] | null;
  /** How the memory limit is enforced here, for people. */
  readonly memoryLimit: string;
}

/**
 * Runs instances on one node. Only instances of its own cluster are ever listed or touched.
 * `start`, `stop` and `remove` are idempotent by instance id and safe to run at the same time for different instances.
 * Errors: `DINP_UNAVAILABLE` (retryable; a runtime that cannot tell rejects, it never lists nothing), `DINP_CLOSED`,
 * `DINP_ABORTED`, and those named below.
 */
export interface Runtime {
  /** Finds what earlier runs left behind and adopts it. Must be called once, before all else, or it is misuse: `TypeError`. */
  open(options?: { readonly signal?: AbortSignal }): Promise<void>;
  capacity(): Promise<RuntimeCapacity>;
  /** A hint that an image will be asked for in a moment, and it is not known yet which: what can be made ready, may be. `DINP_CLOSED`. */
  expectImage?(): void;
  /** Fetches and unpacks the image; shared by its instances; idempotent. `DINP_IMAGE_NOT_FOUND`, `DINP_DIGEST_MISMATCH`. */
  prepareImage(image: ImageRef, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Every instance that was started and not removed, running or exited, by instance id (in the order of code units). */
  list(options?: { readonly signal?: AbortSignal }): Promise<readonly RuntimeInstance[]>;
  /**
   * Starts the instance unless it was started before (then its present state is returned, exited or not: an instance
   * id runs once). The image must be prepared. A command that cannot be executed gives an `exited` instance of cause
   * `start` that names the program, not an error. So does a port that somebody else has, where the runtime opens it;
   * elsewhere the program finds out, and ends.
   */
  start(spec: InstanceSpec, options?: { readonly signal?: AbortSignal }): Promise<RuntimeInstance>;
  /** SIGTERM, `graceMs`, SIGKILL, for all of its processes; resolves when none is left. Unknown id: does nothing. */
  stop(
    instanceId: InstanceId,
    options: { readonly graceMs: number; readonly signal?: AbortSignal },
  ): Promise<void>;
  /** Stops it at once if it runs, and forgets it with its files. Unknown id: does nothing. */
  remove(instanceId: InstanceId, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Yields the id of an instance whose state changed, when `list` shows it (a hint: ask it), until the signal aborts. */
  watch(options: { readonly signal: AbortSignal }): AsyncIterable<InstanceId>;
  /** The last `tail` lines (default 100), then, with `follow`, every new one until the instance is removed or the signal aborts. */
  logs(
    instanceId: InstanceId,
    options?: { readonly tail?: number; readonly follow?: boolean; readonly signal?: AbortSignal },
  ): AsyncIterable<LogLine>;
  /** What a running instance uses now. Null for an unknown id and one that has ended. */
  stats(instanceId: InstanceId): Promise<InstanceStats | null>;
  /**
   * Runs a command beside a running instance, with its environment, user, folder, limits and namespaces, and without a
   * terminal. It begins when the first event is asked for; output is read no faster than the events are taken. When the
   * first process ends, what it left behind is ended too. When the signal aborts, the reader leaves, the instance ends or
   * the runtime is closed, all of its processes are ended; a later `open` ends what a crash left.
   * `DINP_NOT_FOUND` (no such instance), `DINP_INVALID` (it has ended, or the command cannot be used),
   * `DINP_PROGRAM_MISSING`, `DINP_ABORTED` once its processes are gone, `DINP_UNAVAILABLE` when it is not known how it ended,
   * or the end of its output was lost: an exit event means that all of the output came before.
   */
  exec(instanceId: InstanceId, options: ExecOptions): AsyncIterable<ExecEvent>;
  /**
   * Runs a command as a one-off of a release, apart from all instances: its image (which must be prepared), environment
   * (without `PORT`) and memory, a user and folders (`HOME`, `TMPDIR`) of its own, which are gone afterwards. It is never
   * listed. Otherwise as {@link Runtime.exec}. `spec.command` is what the release would start; `options.command` is run.
   * `DINP_IMAGE_NOT_FOUND`, `DINP_INVALID`, `DINP_PROGRAM_MISSING`, `DINP_BUSY`, `DINP_ABORTED`.
   */
  run(spec: RunSpec, options: ExecOptions): AsyncIterable<ExecEvent>;
  /** Forgets images that none of `keep` and no instance needs. */
  pruneImages(keep: readonly ImageRef[]): Promise<void>;
  /**
   * Ends watches, followed logs, commands and one-offs, and releases timers; instances go on running, also those that are
   * being stopped. Idempotent.
   */
  close(): Promise<void>;
}
