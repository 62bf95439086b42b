import type { Forwarder } from "@dinp/core";
import { HttpProxyForwarder, loadDriver } from "./http-proxy-forwarder.js";
import type { NodeExchange } from "./node-exchange.js";

export interface HttpProxyForwarderOptions {
  /** Connections to one endpoint at most, for each of: kept-alive ones, and ones for a single request. Default 1,024. */
  readonly connectionsPerEndpointMax?: number;
  /** Idle connections kept per endpoint. Default 64. */
  readonly idlePerEndpointMax?: number;
  /** How long a connection may idle before it is closed; shorter than the 5 s of most servers. Default 4 s. */
  readonly keepAliveMs?: number;
  /** An answer or a WebSocket without a byte for this long is cut. Default 15 min. */
  readonly idleTimeoutMs?: number;
}

/**
 * Loads `http-proxy` and makes a forwarder for `node:http` exchanges on it. `DINP_DRIVER_MISSING` when the package is not
 * installed.
 *
 * The package only opens the requests; framing, fields and both bodies are handled here, since it (1.18.1) would let a
 * chunked `DELETE` smuggle a request, pass hop-by-hop fields on, change paths (`//` to `/`), and leave the endpoint's
 * connection open when the client goes away.
 *
 * Connections are reused only for requests that may be sent twice: one that turns out to be closed just then costs
 * nothing but a second try. All others get a connection of their own.
 */
export async function loadHttpProxyForwarder(
  options: HttpProxyForwarderOptions = {},
): Promise<Forwarder<NodeExchange>> {
  return new HttpProxyForwarder(await loadDriver(() => import("http-proxy")), options);
}
