/** What a user may ask for. Absent and `undefined` mean the same: not said. */

import type { JsonValue } from "../model/errors.js";
import type { AppState, BuildView, InstanceViewPhase } from "./views.js";

/**
 * A release out of a finished build or of an image that exists: exactly one of the two. What is not said comes from the
 * build's manifest (or the image's own configuration), else from the current release.
 */
export interface ReleaseRequest {
  readonly buildId?: string | undefined;
  /**
   * `REPOSITORY:TAG` or `REPOSITORY@sha256:…` in the platform's registry, of any app. A tag is looked up once: moving it
   * later changes no release.
   */
  readonly image?: string | undefined;
  readonly instances?: number | undefined;
  readonly memoryMb?: number | undefined;
  readonly cpuMillis?: number | undefined;
  /** Added to the user's variables; those of other names stay. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** A line for the shell, or an argument vector. */
  readonly command?: string | readonly string[] | undefined;
  readonly note?: string | undefined;
}

export interface ScaleRequest {
  readonly instances: number;
}

export interface EnvRequest {
  readonly set?: Readonly<Record<string, string>> | undefined;
  /** As `set`, for values that are stored sealed and never told again; each at most 64 KiB. */
  readonly secrets?: Readonly<Record<string, string>> | undefined;
  readonly unset?: readonly string[] | undefined;
}

export interface RollbackRequest {
  /** Number of the release to go back to. Default: the newest other one whose rollout completed. */
  readonly to?: number | undefined;
  /** Which values its secrets get: their latest ones (default), or those that the release had. */
  readonly secrets?: "latest" | "as-released" | undefined;
}

export interface DomainRequest {
  /** Any case, with or without a trailing dot. */
  readonly host: string;
  /** `/` (default) or `/prefix`. */
  readonly path?: string | undefined;
}

export interface LogsRequest {
  /** Lines of the past per instance. Default 100, at most 10,000. */
  readonly tail?: number | undefined;
  readonly follow?: boolean | undefined;
  /** Only this instance. Default: all of the app's, merged. */
  readonly instance?: string | undefined;
}

export interface EventsRequest {
  /** Only this app's. */
  readonly app?: string | undefined;
  /** The newest so many. Default 100, at most 1,000. */
  readonly limit?: number | undefined;
}

/** A command to be run to its end, without a terminal. */
interface CommandRequest {
  /** Program and arguments; no shell looks at them. At most 256 words. */
  readonly command: readonly string[];
  /** All of its standard input, at most 1 MiB. Default: empty. */
  readonly stdin?: Uint8Array | undefined;
  /** It is ended after that. Default one hour, at most a day. */
  readonly timeoutMs?: number | undefined;
}

/** A command beside a running instance. */
export interface ExecRequest extends CommandRequest {
  /** Default: a ready one. */
  readonly instance?: string | undefined;
}

/** A command as a one-off of a release. */
export interface RunRequest extends CommandRequest {
  /** Number of the release. Default: the current one. */
  readonly release?: number | undefined;
}

/**
 * What a push would be made of, as far as it is known before the code is built; with `image` (then without `manifest` and
 * `template`), a release of an image that exists.
 */
export interface PlanRequest extends Omit<ReleaseRequest, "buildId"> {
  /** The app's `dinp.yaml` as a JSON value. */
  readonly manifest?: JsonValue | undefined;
  readonly template?: string | undefined;
}

/** A change of what is wanted of an app; `instances` goes with `scale` alone. */
export interface ChangePlanRequest {
  readonly change: "scale" | "start" | "stop" | "delete";
  readonly instances?: number | undefined;
}

export interface ExplainRequest {
  /** Only this instance. */
  readonly instance?: string | undefined;
}

/** One page of a list. */
export interface PageRequest {
  /** Default 100, at most 1,000. */
  readonly limit?: number | undefined;
  /** The `next` of the page before. */
  readonly cursor?: string | undefined;
}

export interface AppsQuery extends PageRequest {
  readonly state?: AppState | undefined;
  /** What the name begins with. */
  readonly prefix?: string | undefined;
}

export interface BuildsQuery extends PageRequest {
  readonly app?: string | undefined;
  readonly state?: BuildView["state"] | undefined;
}

export interface InstancesQuery extends PageRequest {
  readonly app?: string | undefined;
  readonly phase?: InstanceViewPhase | undefined;
  readonly node?: string | undefined;
}

export interface EventsQuery extends PageRequest {
  readonly app?: string | undefined;
  /** `release.created`, or `release` for all that begin so. */
  readonly type?: string | undefined;
  /** Not before this time, in milliseconds since the Unix epoch. */
  readonly since?: number | undefined;
  /** Before this time. */
  readonly until?: number | undefined;
}
