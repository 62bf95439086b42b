import type { EventTimes } from "../model/ids.js";
import type { ImageRef, Token } from "../model/records.js";
import type { RegistryConnector } from "../ports/registry-connector.js";
import type { Clock, Hasher, Logger, Random, SecretBox } from "../ports/system.js";
import type { LogRequest } from "../ports/control-link.js";
import type { LogLine } from "../ports/runtime.js";
import type { StateStore } from "../ports/state-store.js";
import type { UploadFetcher } from "../ports/upload-fetcher.js";
import type { Builder } from "./builder.js";
import type { ClusterSource } from "./cluster-source.js";
import type { Images } from "./images.js";
import type { PullSlots } from "./located-image.js";
import type { RepositoryUse } from "./repository-use.js";
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
  /** For releases of images that exist. Default: none, and what needs them is `DINP_UNAVAILABLE`. */
  readonly images?: Images;
  /** For code that is named by URL. Default: none, and what needs it is `DINP_UNAVAILABLE`. */
  readonly uploads?: UploadFetcher;
  /** For images of other registries. Default: none, and what needs them is `DINP_UNAVAILABLE`. */
  readonly registries?: RegistryConnector;
  /** For what is kept and must not be read. Default: none, and what needs it is `DINP_UNAVAILABLE`. */
  readonly secrets?: SecretBox;
  readonly logs: LogSource;
  /** The leading server; asked anew each time. Default: none, and what needs one is `DINP_UNAVAILABLE`. */
  readonly cluster?: () => ClusterSource;
  /** Commands (`exec`, `run`) of one app that may run at the same time; more are refused with `DINP_BUSY`. Default 8. */
  readonly executionsPerAppMax?: number;
  readonly logger: Logger;
  /** Asked anew each time: the router's port may be known only once it listens. */
  readonly info: () => PlatformInfo;
  /** Builds that may run at the same time; more are refused with `DINP_BUSY`. Default 4. */
  readonly buildsMax?: number;
  /** A build that takes longer is ended. Default 30 minutes. */
  readonly buildTimeoutMs?: number;
  /**
   * Is told null when a build begins, and of its image as soon as it is built: who will probably run it can fetch it meanwhile.
   * Must not throw. Default: nobody is.
   */
  readonly imageExpected?: (image: ImageRef | null) => void;
  /** Deletions that may go unconfirmed within ten minutes: the greater of `count` and `share` of the apps. Default 5 and 0.2. */
  readonly deletionBudget?: { readonly count: number; readonly share: number };
}

/** {@link PlatformOptions} with its defaults filled in. */
export interface PlatformContext extends Required<PlatformOptions> {
  readonly eventTimes: EventTimes;
  readonly pulls: PullSlots;
  readonly uses: RepositoryUse;
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
  /** Refused with `DINP_CONFLICT` (details `revision`) unless the app's `revision` is this one; 0: unless there is no app. */
  readonly ifRevision?: number | undefined;
  /**
   * 1 to 200 printable ASCII characters. A second write of the same caller with the same key and the same input gets
   * the first one's answer; with other input, `DINP_IDEMPOTENCY_KEY_REUSED`. Remembered for 24 hours.
   */
  readonly idempotencyKey?: string | undefined;
}
