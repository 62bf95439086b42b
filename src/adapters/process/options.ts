import type { Clock, Logger, Runtime } from "@dinp/core";
import type { UnpackImage } from "./image-store.js";
import type { OutputLogLimits } from "./output-log.js";

export interface ProcessRuntimeOptions {
  /** A folder of this runtime's own, on a local disk; its parents must let others pass through when run by root. */
  readonly dataDir: string;
  /** Marks processes: 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. */
  readonly clusterId: string;
  /** Where instances are reached. Default `127.0.0.1`. */
  readonly nodeAddress?: string;
  readonly unpack: UnpackImage;
  readonly clock: Clock;
  readonly logger?: Logger;
  /**
   * When run by root, an instance's user and group are this number plus its port. Null: no users of their own (apps can then do
   * what the platform can). Default 200000. When not run by root there are none.
   */
  readonly uidBase?: number | null;
  /** Names that stand for programs of the platform, such as `dinp-static`, each with its argument vector. */
  readonly programs?: Readonly<Record<string, readonly string[]>>;
  /** Programs that apps may ask for besides the well-known ones: `capacity` says which of all are there. */
  readonly askedPrograms?: readonly string[];
  /** Absolute folders where programs are looked for; they make the apps' `PATH`. Default: the standard ones. */
  readonly searchPath?: readonly string[];
  /** `auto` uses the kernel's memory controller where it may be used, `sampled` never does. Default `auto`. */
  readonly memoryLimit?: "auto" | "sampled";
  /** Default: a log that passes 10 MB is cut to its newest 5 MB. */
  readonly logLimits?: OutputLogLimits;
}

/** A `Runtime` of plain processes. */
export interface ProcessRuntime extends Runtime {
  /** Stops every instance and resolves when no process of any is left. */
  stopAll(options: { readonly graceMs: number; readonly signal?: AbortSignal }): Promise<void>;
}

/** The first user of instances, when run by root: an instance has the user `uidBase + port`. */
export const DEFAULT_UID_BASE = 200_000;
