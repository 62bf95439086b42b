import "reflect-metadata";
import { container as root } from "tsyringe";
import { newId, type Route } from "@dinp/core";
import { createFileRouteCache, readRouteFile } from "@dinp/core/file";
import { createFileLocalState, createSystemRandom } from "@dinp/core/system";
import { join } from "node:path";
import { part, provide, registerRouter, tokens } from "../compose/index.js";
import { ConfigError } from "../config/load-config.js";
import { namesRedis, redisPlaceOf, shownRedis } from "../config/redis-place.js";
import { routerSection, tableSection } from "../config/sections.js";
import { clusterSection } from "../config/shared-sections.js";
import type { Settings, ValuesOf } from "../config/setting.js";
import type { Program, ProgramContext } from "../service/run-program.js";
import { measureRouter } from "./metrics.js";
import { assertRegistrable } from "./registering.js";
import { startRegistration } from "./registration.js";
import { createRequestRouter, urlOf } from "./request-router.js";
import { fileSource, redisSource, type TableSource } from "./table-source.js";

const settings = {
  router: routerSection,
  cluster: { id: clusterSection.id },
  table: tableSection,
} as const satisfies Settings;

type Config = ValuesOf<typeof settings>;

/** The program `dinp-router`. */
export const routerProgram: Program<typeof settings> = {
  name: "dinp-router",
  ownSection: "router",
  settings,
  about: `Sends HTTP requests to the instances that its routes name. The routes come from the platform's table (--table-url), or
without a platform from a JSON file (--routes), which is watched: a good edit is served at once; after a bad one, and while
the table does not answer, the last good routes stay. With a table it registers at the platform's servers before it serves.

  {"routes": [{"host": "shop.example.com", "path": "/", "app": "shop",
               "endpoints": ["10.0.0.5:8080", "10.0.0.6:8080"]}]}

SIGTERM and SIGINT: /healthz says 503, requests are taken for --drain-delay, those in flight may end within --drain. SIGHUP:
the file is read again; a table that was refused for its few routes is believed. Exit codes: 0 stopped by a signal, 1 failed,
2 wrong usage.`,
  check: async ({ router, table }) => {
    assertOneSource({ router, table });
    if (router.routes === null) await redisPlaceOf(table);
    return router.routes === null ? [] : [`${router.routes}: ${count(await readRouteFile(router.routes))}`];
  },
  run,
};

async function run(config: Config, context: ProgramContext): Promise<void> {
  const { router: own } = config;
  const { logger, metrics, observer, interrupt, undo, say } = context;
  const container = root.createChildContainer();
  provide(container, tokens.logger, () => logger);
  provide(container, tokens.random, () => createSystemRandom());
  registerRouter(container);
  const clock = part(container, tokens.clock);
  const source = await sourceOf(config, context);
  provide(container, tokens.routeTable, () => source.table);
  undo.push(() => source.table.close());
  const routerId = await routerIdOf(config, newId(part(container, tokens.random), "router"));
  provide(container, tokens.routerId, () => routerId);
  const { dataDir } = own;
  if (dataDir !== null && own.routes === null)
    provide(container, tokens.routeCache, () =>
      createFileRouteCache({ path: join(dataDir, "routes.jsonl") }),
    );
  await source.open();

  const follower = part(container, tokens.routeFollower);
  observer.check("route table", () => (follower.ready() ? null : "no table was read yet"));
  if (dataDir !== null && own.servers.length > 0) {
    const parts = { router: own, dataDir, clusterId: config.cluster.id, routerId, follower, clock };
    const registration = await startRegistration(parts, context);
    await Promise.race([untilAborted(registration.whenRegistered, interrupt.signal), registration.ended]);
    if (interrupt.signal.aborted) return;
  }
  const following = new AbortController();
  const ended = follower.run(following.signal);
  ended.catch(() => undefined);
  undo.push(async () => {
    following.abort();
    await ended;
  });
  interrupt.onHangUp(() => {
    follower.believe();
    void source.reread();
  });
  const router = await createRequestRouter({
    ...{ follower, routerId, listen: own.listen, clock, logger },
    trustedProxies: own.trustedProxies,
    connectionsMax: own.connectionsMax,
    onRequest: measureRouter(metrics, follower),
  });
  undo.push(() => router.close({ drainMs: own.drain }));
  await Promise.race([follower.whenReady(interrupt.signal), ended]);
  if (interrupt.signal.aborted) return;
  const url = urlOf(await router.start());
  say(`dinp-router listens on ${url} with ${count([...follower.index().routes()])} of ${source.name}`);
  await Promise.race([interrupt.stopped(), ended]);
  observer.end();
  if (own.drainDelay > 0) await Promise.race([clock.sleep(own.drainDelay), ended]);
}

/** The wait that a signal to the program ends is no failure. */
async function untilAborted(
  wait: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await wait(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function sourceOf(config: Config, { logger }: ProgramContext): Promise<TableSource> {
  assertOneSource(config);
  const { router, table, cluster } = config;
  const parts = { logger, random: createSystemRandom() };
  if (router.routes !== null) return fileSource(router.routes, parts);
  return redisSource(
    { redis: await redisPlaceOf(table), cluster: cluster.id, name: shownRedis(table) },
    parts,
  );
}

function assertOneSource({ router, table }: Pick<Config, "router" | "table">): void {
  const { routes, dataDir } = router;
  const hasTable = namesRedis(table);
  if (routes === null && !hasTable) {
    throw new ConfigError([
      "router.routes and table.url are both missing: give the platform's table with --table-url, or a file with --routes",
    ]);
  }
  if (routes !== null && hasTable)
    throw new ConfigError(["router.routes and a table are both given: routes come from one of them"]);
  if (hasTable && dataDir === null)
    throw new ConfigError(["router.dataDir is missing: with a table the last good one is kept there"]);
  assertRegistrable(router);
}

/** Beside a table the same at every start: the platform waits for what it acknowledges. Else another one each time. */
async function routerIdOf({ router }: Config, made: string): Promise<string> {
  if (router.id !== null) return router.id;
  // Behind another router of a file its requests must not look like a loop.
  if (router.dataDir === null || router.routes !== null) return made;
  const state = createFileLocalState({ dir: router.dataDir });
  const known = await state.read("router-id");
  if (known !== null) return known;
  await state.write("router-id", made);
  return made;
}

function count(routes: readonly Route[]): string {
  const endpoints = routes.reduce((sum, route) => sum + route.endpoints.length, 0);
  return `${amount(routes.length, "route")} to ${amount(endpoints, "endpoint")}`;
}

function amount(number: number, noun: string): string {
  return `${String(number)} ${noun}${number === 1 ? "" : "s"}`;
}
