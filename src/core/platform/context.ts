import type { EventTimes } from "../model/ids.js";
import type { Token } from "../model/records.js";
import type { Clock, Hasher, Logger, Random } from "../ports/system.js";
import type { LogRequest } from "../ports/control-link.js";
import type { LogLine } from "../ports/runtime.js";
import type { StateStore } from "../ports/state-store.js";
import type { Builder } from "./builder.js";
import type { PlatformInfo } from "./views.js";

/** Where the lines of one instance come from: its node, wherever that is. */
export interface LogSource {
  /** As `Runtime.logs`, for any instance of the cluster. `DINP_UNAVAILABLE` when its node does not answer. */
  logs(request: LogRequest): AsyncIterable<LogLine>;
}

/** The outside world of the platform. */
export interface PlatformOptions {
  readonly store: StateStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly hasher: Hasher;
  readonly builder: Builder;
  readonly logs: LogSource;
  readonly logger: Logger;
  /** Asked anew each time: the router's port may be known only once it listens. */
  readonly info: () => PlatformInfo;
  /** Builds that may run at the same time; more are refused with `DINP_BUSY`. Default 4. */
  readonly buildsMax?: number;
  /** A build that takes longer is ended. Default 30 minutes. */
  readonly buildTimeoutMs?: number;
  /** Deletions that may go unconfirmed within ten minutes: the greater of `count` and `share` of the apps. Default 5 and 0.2. */
  readonly deletionBudget?: { readonly count: number; readonly share: number };
}

/** {@link PlatformOptions} with its defaults filled in. */
export interface PlatformContext extends Required<PlatformOptions> {
  readonly eventTimes: EventTimes;
}

/** Who asks: the holder of a token. */
export interface Caller {
  readonly tokenId: string;
  readonly subject: string;
  readonly role: Token["role"];
}

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What every write may say. */
export interface WriteOptions extends ReadOptions {
  readonly caller: Caller;
  /**
   * 1 to 200 printable ASCII characters. A second write of the same caller with the same key and the same input gets
   * the first one's answer; with other input, `DINP_IDEMPOTENCY_KEY_REUSED`. Remembered for 24 hours.
   */
  readonly idempotencyKey?: string | undefined;
}
