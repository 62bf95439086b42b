import type {
  AppId,
  Clock,
  EjectionPolicy,
  Forwarder,
  InstanceId,
  Logger,
  RetryPolicy,
  RouteFollower,
} from "@dinp/core";
import type { NodeExchange } from "./node-exchange.js";
import type { RefusalReason } from "./refusal.js";

export interface HttpRouterOptions {
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** 1 to 64 of letters, digits, `.`, `_`, `-`; unique among the routers. */
  readonly routerId: string;
  readonly follower: Pick<RouteFollower, "index" | "version" | "begin" | "end">;
  readonly forwarder: Forwarder<NodeExchange>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Addresses or networks whose `X-Forwarded-*` fields are believed. Default: none. */
  readonly trustedProxies?: readonly string[];
  readonly retry?: RetryPolicy;
  readonly ejection?: EjectionPolicy;
  /** Default 2 s. */
  readonly connectTimeoutMs?: number;
  /** From the last byte of the request to the head of the answer. Default 60 s. */
  readonly responseTimeoutMs?: number;
  /** For a request's whole head. Default 15 s. */
  readonly headTimeoutMs?: number;
  /** A client that sends nothing of its body, or takes nothing of its answer, for this long is cut. Default 60 s. */
  readonly clientIdleTimeoutMs?: number;
  /** A connection without a request is closed after this long. Default 60 s. */
  readonly keepAliveTimeoutMs?: number;
  /** A client that closed its sending side gets its answer within this long, or none. Default 5 s. */
  readonly halfClosedMs?: number;
  /**
   * Connections at most; a further one takes the place of the one that has waited longest for a request, and is closed at once when
   * none waits. Default 10,000.
   */
  readonly connectionsMax?: number;
  /** Size of a request's head at most. Default 32 KiB. */
  readonly headBytesMax?: number;
  /** Header fields of a request at most. Default 200. */
  readonly headerCountMax?: number;
  /** How long `close` waits for requests in flight. Default 10 s. */
  readonly drainMs?: number;
  /** Called once per request, after its end. Must be quick and not throw. */
  readonly onRequest?: (record: AccessRecord) => void;
}

/** What there is to say of one request. Holds no query and no field of the client's but its host. */
export interface AccessRecord {
  readonly requestId: string;
  readonly client: string;
  readonly method: string;
  readonly host: string | null;
  readonly path: string | null;
  /** The status sent; null when none was, because the client went away. */
  readonly status: number | null;
  /** Why the router answered by itself; null when an app answered or the client went away. */
  readonly reason: RefusalReason | null;
  /** True when the whole answer was handed to the client's connection. */
  readonly complete: boolean;
  readonly appId: AppId | null;
  readonly appName: string | null;
  /** The last instance that was asked. */
  readonly instanceId: InstanceId | null;
  readonly attempts: number;
  readonly durationMs: number;
}
