import { hostname } from "node:os";
import { DinpError, isDinpError, type RouterRegistrarOptions } from "@dinp/core";
import { createClient, type Client } from "@dinp/core/client";
import { ConfigError } from "../config/load-config.js";
import { readPem } from "../config/read-pem.js";
import type { routerSection } from "../config/sections.js";
import type { ValuesOf } from "../config/setting.js";
import { createExchange } from "./exchange.js";

type RouterConfig = ValuesOf<{ readonly router: typeof routerSection }>["router"];

/** Bound of each call of a server. */
const CALL_MS = 5_000;

export interface RegisteringOptions {
  readonly routerId: string;
  /** A server of another cluster is refused. */
  readonly clusterId: string;
}

/** {@link ConfigError} unless the configuration says how this router is registered. */
export function assertRegistrable({ servers, token, plaintext, registered, routes }: RouterConfig): void {
  if (routes !== null) {
    if (servers.length === 0) return;
    throw new ConfigError([
      "router.routes and router.servers are both given: a router of a file is not registered",
    ]);
  }
  if (registered && servers.length > 0)
    throw new ConfigError(["router.registered and router.servers are both given: give one of them"]);
  if (registered) return;
  if (servers.length === 0) {
    throw new ConfigError([
      "router.servers is missing: with a table a router is registered before it serves. Give the servers' URLs and a router.token " +
        "(dinp routers token); or register it by hand (dinp routers add ID), give router.id, and say --registered true",
    ]);
  }
  const problems = token === null ? ["router.token is missing: make one with dinp routers token"] : [];
  const open = plaintext ? undefined : servers.find((server) => server.startsWith("http:"));
  if (open !== undefined)
    problems.push(
      `router.servers has ${open}, where the token can be read: use https, or say --plaintext true`,
    );
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Registers a router at the first of its servers that does it, beginning with the one that did last. `DINP_INVALID` for a bad caFile. */
export async function registeringAt(
  config: RouterConfig,
  { routerId, clusterId }: RegisteringOptions,
): Promise<RouterRegistrarOptions["register"]> {
  const exchange = createExchange(await readPem("router.caFile", config.caFile));
  const clients = config.servers.map((url) => ({
    url,
    client: createClient({ url, token: config.token ?? undefined, exchange, timeoutMs: CALL_MS }),
  }));
  const request = { address: `${hostname()}:${String(config.listen.port)}` };
  let first = 0;
  return async ({ signal }) => {
    const failures: unknown[] = [];
    for (let tried = 0; tried < clients.length; tried += 1) {
      const at = (first + tried) % clients.length;
      const server = clients[at];
      if (server === undefined) break;
      try {
        await assertCluster(server, clusterId, signal);
        const registered = await server.client.registerRouter(routerId, request, { signal });
        first = at;
        return registered;
      } catch (error) {
        if (isDinpError(error, "DINP_ABORTED")) throw error;
        failures.push(isDinpError(error, "DINP_UNAUTHENTICATED") ? tokenRefused(server.url, error) : error);
      }
    }
    // One that answers says more than those that do not.
    throw failures.find((failure) => !isDinpError(failure) || !failure.retryable) ?? failures.at(-1);
  };
}

function tokenRefused(url: string, cause: unknown): DinpError {
  return new DinpError("DINP_UNAUTHENTICATED", `The router's token is not valid at ${url}, or no longer.`, {
    hint: 'Make one ("dinp routers token"), and start the router with it: router.token.',
    cause,
  });
}

async function assertCluster(
  { url, client }: { readonly url: string; readonly client: Client },
  clusterId: string,
  signal: AbortSignal,
): Promise<void> {
  const info = await client.info({ signal });
  if (info.clusterId === clusterId) return;
  throw new DinpError(
    "DINP_INVALID",
    `The server ${url} is one of the cluster ${info.clusterId}, not of ${clusterId}.`,
    {
      hint: "router.servers, cluster.id and the table must be of one cluster.",
    },
  );
}
