import type { AppId, Endpoint, InstanceId } from "../model/records.js";

/** What a host and path prefix lead to. */
export interface Route {
  /** Lower case, without port or trailing dot. */
  readonly host: string;
  /** `/` or `/prefix` without a trailing slash. */
  readonly path: string;
  readonly appId: AppId;
  readonly appName: string;
  /** In a fixed order (by instance id). Empty when the app has none that is ready. */
  readonly endpoints: readonly Endpoint[];
  /** Why there is no endpoint: `stopped` by its owner, or `starting`/none ready. Null when there are some. */
  readonly unavailable: "stopped" | "no-ready-instance" | null;
}

/**
 * The version of a table. `incarnation` changes when the table lost its past; `epoch` is the writer's fencing token;
 * `revision` grows by one with each apply. Ordered by epoch, then revision, within one incarnation.
 */
export interface RouteTableVersion {
  readonly incarnation: string;
  readonly epoch: number;
  readonly revision: number;
}

export interface RouteTableSnapshot {
  readonly version: RouteTableVersion;
  readonly routes: readonly Route[];
}

export type RouteChange =
  | { readonly op: "put"; readonly route: Route }
  | { readonly op: "delete"; readonly host: string; readonly path: string };

/** What `watch` yields: the changes that lead to `version`, or `reset`: take a new snapshot (and watch from there). */
export type RouteTableEvent =
  | {
      readonly type: "changes";
      readonly version: RouteTableVersion;
      readonly changes: readonly RouteChange[];
    }
  | { readonly type: "reset" };

/** What one router says of itself. */
export interface RouterAcknowledgement {
  readonly routerId: string;
  /** The newest table that every one of its new requests is routed by. */
  readonly version: RouteTableVersion;
  /** Instances that are off its table and still have a request of this router in flight. */
  readonly busy: readonly InstanceId[];
}

/**
 * The table that routers follow. A reader sees the old or the new table, never a hole.
 * Errors: `DINP_UNAVAILABLE`, `DINP_ROUTE_VERSION`, `DINP_FENCED`, `DINP_CLOSED`, `DINP_ABORTED`; `DINP_CORRUPT` where a
 * table is kept that something else could damage.
 */
export interface RouteTable {
  snapshot(options?: { readonly signal?: AbortSignal }): Promise<RouteTableSnapshot>;
  /**
   * Applies all changes as one new version. `DINP_FENCED`: the table has seen a higher epoch.
   * `DINP_ROUTE_VERSION`: the table is not at `ifVersion`; read it again.
   */
  apply(
    changes: readonly RouteChange[],
    options: {
      readonly epoch: number;
      readonly ifVersion: RouteTableVersion;
      readonly signal?: AbortSignal;
    },
  ): Promise<RouteTableVersion>;
  /** Every version after `after`, in order, until the signal aborts (then it ends without an error). */
  watch(options: {
    readonly after: RouteTableVersion;
    readonly signal: AbortSignal;
  }): AsyncIterable<RouteTableEvent>;
  /** Records what a router has applied; the newest per router wins. */
  acknowledge(
    acknowledgement: RouterAcknowledgement,
    options?: { readonly signal?: AbortSignal },
  ): Promise<void>;
  /** What each router last acknowledged. A router that is not listed has not acknowledged anything. */
  acknowledgements(options?: { readonly signal?: AbortSignal }): Promise<readonly RouterAcknowledgement[]>;
  /** Yields when an acknowledgement changed (a hint: ask `acknowledgements()`), until the signal aborts. */
  watchAcknowledgements(options: { readonly signal: AbortSignal }): AsyncIterable<void>;
  close(): Promise<void>;
}
