import {
  createRouteFollower,
  diffRoutes,
  type Endpoint,
  type Route,
  type RouteFollower,
  type RouteTable,
} from "@dinp/core";
import { loadHttpProxyForwarder, type HttpProxyForwarderOptions } from "@dinp/core/http-proxy";
import {
  type AccessRecord,
  createHttpRouter,
  type HttpRouter,
  type HttpRouterOptions,
} from "@dinp/core/http-router";
import { createMemoryRouteTable } from "@dinp/core/memory";
import { createPinoLogger, createSystemClock, createSystemRandom } from "@dinp/core/system";

/** A router on a free port, following a table in memory. */
export interface RouterRig {
  readonly port: number;
  readonly router: HttpRouter;
  readonly table: RouteTable;
  readonly follower: RouteFollower;
  readonly records: AccessRecord[];
  /** Publishes exactly these routes and waits until the router has them. */
  publish(routes: readonly Route[]): Promise<void>;
  close(): Promise<void>;
}

export function route(host: string, endpoints: readonly Endpoint[], more: Partial<Route> = {}): Route {
  const unavailable = endpoints.length === 0 ? "no-ready-instance" : null;
  return { host, path: "/", appId: `app-${host}`, appName: host, endpoints, unavailable, ...more };
}

export async function startRouterRig(
  options: Partial<HttpRouterOptions> & { readonly forwarderOptions?: HttpProxyForwarderOptions } = {},
): Promise<RouterRig> {
  const { forwarderOptions, ...routerOptions } = options;
  const clock = createSystemClock();
  const random = createSystemRandom();
  const logger = createPinoLogger({ level: "silent" });
  const table = createMemoryRouteTable({ random });
  const follower = createRouteFollower({ table, routerId: "router-1", clock, logger });
  const stop = new AbortController();
  const following = follower.run(stop.signal);
  const forwarder = await loadHttpProxyForwarder(forwarderOptions);
  const records: AccessRecord[] = [];
  const router = createHttpRouter({
    listen: { host: "127.0.0.1", port: 0 },
    routerId: "router-1",
    follower,
    forwarder,
    clock,
    logger,
    onRequest: (record) => records.push(record),
    ...routerOptions,
  });
  const { port } = await router.start();
  let published: readonly Route[] = [];
  let version = (await table.snapshot()).version;
  return {
    port,
    router,
    table,
    follower,
    records,
    publish: async (routes) => {
      version = await table.apply(diffRoutes(published, routes), { epoch: 1, ifVersion: version });
      published = routes;
      while (follower.version()?.revision !== version.revision)
        await new Promise((resolve) => setImmediate(resolve));
    },
    close: async () => {
      await router.close({ drainMs: 0 });
      await forwarder.close();
      stop.abort();
      await following;
      await table.close();
    },
  };
}
