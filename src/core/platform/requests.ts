/** What a user may ask for. Absent and `undefined` mean the same: not said. */

/** A release out of a finished build. What is not said comes from the manifest, else from the current release. */
export interface ReleaseRequest {
  readonly buildId: string;
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
  readonly unset?: readonly string[] | undefined;
}

export interface RollbackRequest {
  /** Number of the release to go back to. Default: the newest other one whose rollout completed. */
  readonly to?: number | undefined;
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
