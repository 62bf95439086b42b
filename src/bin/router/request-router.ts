import type { Clock, Logger, RouteFollower } from "@dinp/core";
import { loadHttpProxyForwarder } from "@dinp/core/http-proxy";
import { createHttpRouter, type HttpRouterOptions } from "@dinp/core/http-router";
import { isEveryAddress, type HostPort } from "../config/setting.js";

export interface RequestRouterOptions extends Pick<
  HttpRouterOptions,
  "trustedProxies" | "connectionsMax" | "onRequest"
> {
  /** Of the table to route by; whoever made it runs it. */
  readonly follower: RouteFollower;
  /** The follower's; 1 to 64 of letters, digits, `.`, `_`, `-`; unique among the routers that requests may pass. */
  readonly routerId: string;
  /** Port 0 takes a free one. */
  readonly listen: HostPort;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A router as every program here runs it: sends requests where the followed table says. */
export interface RequestRouter {
  /** Listens; resolves with the address. `DINP_PORT_TAKEN`, `DINP_INVALID`. */
  start(): Promise<HostPort>;
  /** Takes no new connection, lets requests in flight end for `drainMs`, then cuts what is left. Idempotent. */
  close(options: { readonly drainMs: number }): Promise<void>;
}

/** Makes a router; it does nothing yet. `DINP_DRIVER_MISSING` when its forwarder is not installed. */
export async function createRequestRouter(options: RequestRouterOptions): Promise<RequestRouter> {
  const forwarder = await loadHttpProxyForwarder();
  const router = createHttpRouter({ ...options, forwarder });
  return {
    start: () => router.start(),
    close: async (closeOptions) => {
      await router.close(closeOptions);
      await forwarder.close();
    },
  };
}

/** The URL at which this machine reaches what listens at an address. */
export function urlOf(at: HostPort): string {
  const host = isEveryAddress(at) ? "127.0.0.1" : at.host;
  return `http://${host.includes(":") ? `[${host}]` : host}:${String(at.port)}`;
}
