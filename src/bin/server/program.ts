import "reflect-metadata";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { container as root } from "tsyringe";
import { defaultPlanPolicy, newId, type Server } from "@dinp/core";
import { createHttpApi } from "@dinp/core/http-api";
import { createRedisRouteTable } from "@dinp/core/redis";
import { createSystemClock, createSystemRandom } from "@dinp/core/system";
import { createWebSocketLinkServer } from "@dinp/core/websocket";
import { watchCertificate } from "../cluster/certificate-doubts.js";
import { listenerTls } from "../cluster/listener-tls.js";
import { ownId } from "../cluster/own-id.js";
import { platformFolders, providePlatformParts } from "../cluster/platform-parts.js";
import { imageRegistryOf } from "../cluster/image-registry.js";
import { shownStore, stateStoreOf } from "../cluster/state-store.js";
import { part, provide, registerServer, tokens } from "../compose/index.js";
import { ConfigError } from "../config/load-config.js";
import { readPem } from "../config/read-pem.js";
import { redisPlaceOf, shownRedis } from "../config/redis-place.js";
import { tableSection } from "../config/sections.js";
import { buildSection, secretsSection, serverSection } from "../config/server-section.js";
import { isEveryAddress, type HostPort, type Settings, type ValuesOf } from "../config/setting.js";
import { clusterSection, registrySection, storeSection } from "../config/shared-sections.js";
import { readTemplates } from "../host/templates.js";
import type { Program, ProgramContext } from "../service/run-program.js";
import { ensureAdminToken } from "./admin-token.js";
import { listenForAgents } from "./link-listener.js";
import { countFenced, measureServer } from "./metrics.js";

const settings = {
  server: serverSection,
  cluster: clusterSection,
  store: storeSection,
  table: tableSection,
  registry: registrySection,
  build: buildSection,
  secrets: secretsSection,
} as const satisfies Settings;

type Config = ValuesOf<typeof settings>;

/** The program `dinp-server`. */
export const serverProgram: Program<typeof settings> = {
  name: "dinp-server",
  ownSection: "server",
  settings,
  about: `Serves the HTTP API of a cluster, and while it leads, decides what runs where, tells the agents and the routers. Start two or
more on the same database and Redis: one of them leads, and when it dies another one does within --lease-ttl.

The first start of a cluster makes an admin token and says in which file it is: log in with it (dinp login).

SIGTERM and SIGINT: requests in flight may end, and another server leads at once. What runs goes on running without any
server. Exit codes: 0 stopped by a signal, 1 failed, 2 wrong usage.`,
  check,
  run,
};

async function check(config: Config): Promise<readonly string[]> {
  assertReachable(config);
  await redisPlaceOf(config.table);
  await listenerTls("server", config.server);
  await readTemplates(config.build.templatesFile);
  await (await stateStoreOf(config.store)).close();
  const parts = { clock: createSystemClock(), random: createSystemRandom() };
  await (await imageRegistryOf(config.registry, parts)).close();
  return [`the state is in ${shownStore(config.store)}, the routes in ${shownRedis(config.table)}`];
}

async function run(config: Config, context: ProgramContext): Promise<void> {
  const { logger, metrics, observer, interrupt, undo, say, version } = context;
  const { server: own, cluster } = config;
  assertReachable(config);
  const tls = await listenerTls("server", own);
  const ca = await readPem("server.caFile", own.caFile);
  const container = root.createChildContainer();
  const [clock, random] = [createSystemClock(), createSystemRandom()];
  provide(container, tokens.clock, () => clock);
  provide(container, tokens.random, () => random);
  provide(container, tokens.logger, () => logger);
  registerServer(container);
  provide(container, tokens.cluster, () => ({ ...cluster, routerUrl: own.routerUrl, version }));
  provide(container, tokens.planPolicy, () => ({
    ...defaultPlanPolicy,
    lostAfterMs: own.lostAfter,
    leaderGraceMs: 2 * own.lostAfter,
  }));

  const dataDir = resolve(own.dataDir);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const folders = platformFolders(dataDir, config);
  await mkdir(folders.uploads, { recursive: true, mode: 0o700 });
  const serverId = await ownId(own.id, { dir: dataDir, prefix: "server", random });
  await providePlatformParts(container, {
    ...{ config, folders, logger, interrupt, undo },
    leaseTtlMs: own.leaseTtl,
  });
  const table = createRedisRouteTable({
    redis: await redisPlaceOf(config.table),
    cluster: cluster.id,
    random,
    logger,
  });
  provide(container, tokens.routeTable, () => table);
  undo.push(() => table.close());

  const link = createWebSocketLinkServer({
    gate: part(container, tokens.nodeGate),
    logger,
    leaderUrl: () => server.otherLeader()?.linkUrl ?? null,
  });
  undo.push(() => link.close());
  const listener = await listenForAgents(link, own.linkListen, tls);
  undo.push(() => listener.close());
  provide(container, tokens.controlLinkServer, () => link);
  const scheme = tls === null ? "http" : "https";
  const linkUrl = own.linkUrl ?? urlAt(scheme, listener.at);
  let apiUrl = own.url ?? urlAt(scheme, own.listen);
  provide(container, tokens.serverFacts, () => ({
    holder: newId(random, serverId),
    leaseTtlMs: own.leaseTtl,
    announced: () => ({ apiUrl, linkUrl }),
    onFenced: countFenced(metrics),
  }));
  const server: Server = part(container, tokens.server);
  measureServer(metrics, server);
  observer.check("state", () => (server.follower.fresh ? null : "the database is not followed"));
  observer.check("address", () =>
    server.sharedAddress === null
      ? null
      : `the server that leads has the address ${server.sharedAddress}, too`,
  );

  const platform = part(container, tokens.platform);
  const working = new AbortController();
  let ended: Promise<void> = Promise.resolve();
  undo.push(() => {
    working.abort();
    return ended;
  });
  const api = createHttpApi({
    ...{ platform, logger, listen: own.listen },
    ...(tls === null ? {} : { tls }),
    peers: {
      leads: () => server.leads,
      leaderUrl: () => server.otherLeader()?.apiUrl ?? null,
      ...(own.builderUrl === null ? {} : { builderUrl: own.builderUrl }),
      ...(ca === null ? {} : { ca }),
    },
  });
  const listens = await api.start();
  undo.push(() => api.close());
  apiUrl = own.url ?? listens;
  if (tls !== null) {
    const use = { cert: tls.cert, urls: [apiUrl, linkUrl] };
    watchCertificate(use, { logger, metrics, section: "server", now: clock.now() });
  }
  ended = server.run(working.signal);
  ended.catch(() => undefined);
  const tokenFile = await ensureAdminToken({
    ...{ platform, serverId, store: part(container, tokens.stateStore) },
    file: join(dataDir, "admin-token"),
    renew: own.newAdminToken,
  });
  if (tokenFile !== null) say(`an admin token is in ${tokenFile}: dinp login --api ${apiUrl} < ${tokenFile}`);
  say(`dinp-server ${serverId} answers at ${listens}, and agents at ${linkUrl}`);
  await Promise.race([interrupt.stopped(), ended]);
  observer.end();
}

/** Others must be told an address, which "all of this machine" is not. */
function assertReachable({ server }: Config): void {
  const problems = (
    [
      ["listen", server.listen, "url", server.url],
      ["linkListen", server.linkListen, "linkUrl", server.linkUrl],
    ] as const
  ).flatMap(([listen, at, url, given]) =>
    given === null && isEveryAddress(at)
      ? [
          `server.${url} is missing: server.${listen} is every address of this machine, which others cannot go by`,
        ]
      : [],
  );
  if (problems.length > 0) throw new ConfigError(problems);
}

function urlAt(scheme: string, { host, port }: HostPort): string {
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${String(port)}`;
}
