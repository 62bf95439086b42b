import type { AppId, ImageRef, InstanceExit, InstanceId, ReleaseId } from "../model/records.js";

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
  readonly memoryMb: number;
  readonly cpuMillis: number;
  /** The port on the node's address where the instance must answer: chosen by the agent. */
  readonly port: number;
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
  /** Finds what earlier runs left behind and adopts it. Must be called once, before all else. */
  open(options?: { readonly signal?: AbortSignal }): Promise<void>;
  capacity(): Promise<RuntimeCapacity>;
  /** Fetches and unpacks the image; shared by its instances; idempotent. `DINP_IMAGE_NOT_FOUND`, `DINP_DIGEST_MISMATCH`. */
  prepareImage(image: ImageRef, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Every instance that was started and not removed, running or exited, by instance id. */
  list(options?: { readonly signal?: AbortSignal }): Promise<readonly RuntimeInstance[]>;
  /**
   * Starts the instance unless it was started before (then its present state is returned, exited or not: an instance
   * id runs once). The image must be prepared. A command that cannot be executed gives an `exited` instance of cause
   * `start` that names the program, not an error.
   */
  start(spec: InstanceSpec, options?: { readonly signal?: AbortSignal }): Promise<RuntimeInstance>;
  /** SIGTERM, `graceMs`, SIGKILL, for all of its processes; resolves when none is left. Unknown id: does nothing. */
  stop(
    instanceId: InstanceId,
    options: { readonly graceMs: number; readonly signal?: AbortSignal },
  ): Promise<void>;
  /** Stops it at once if it runs, and forgets it with its files. Unknown id: does nothing. */
  remove(instanceId: InstanceId, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Yields the id of an instance whose state changed (a hint: ask `list`), until the signal aborts. */
  watch(options: { readonly signal: AbortSignal }): AsyncIterable<InstanceId>;
  /** The last `tail` lines (default 100), then, with `follow`, every new one until the instance is removed or the signal aborts. */
  logs(
    instanceId: InstanceId,
    options?: { readonly tail?: number; readonly follow?: boolean; readonly signal?: AbortSignal },
  ): AsyncIterable<LogLine>;
  stats(instanceId: InstanceId): Promise<InstanceStats | null>;
  /** Forgets images that none of `keep` and no instance needs. */
  pruneImages(keep: readonly ImageRef[]): Promise<void>;
  /** Releases watchers and timers; instances go on running. Idempotent. */
  close(): Promise<void>;
}
