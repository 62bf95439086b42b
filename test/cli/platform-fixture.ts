import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  Agent,
  createBaseSource,
  createBuilder,
  createImages,
  createPlatform,
  createRouteFollower,
  defaultPlanPolicy,
  InstancePorts,
  kinds,
  newId,
  readImage,
  Server,
  type Kind,
  type PlatformInfo,
  type RouteTable,
  type StateStore,
  type UploadFetcher,
} from "@dinp/core";
import { createHttpProber } from "@dinp/core/http";
import { createHttpApi } from "@dinp/core/http-api";
import { loadHttpProxyForwarder } from "@dinp/core/http-proxy";
import { createHttpRouter } from "@dinp/core/http-router";
import { createInProcessControlLink } from "@dinp/core/in-process";
import { createMemoryRouteTable, createMemoryStateStore } from "@dinp/core/memory";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { createImageUnpacker, createProcessRuntime } from "@dinp/core/process";
import {
  createFileLocalState,
  createFileSecretBox,
  createNodeHasher,
  createPinoLogger,
  createSystemClock,
  createSystemRandom,
  isPortFree,
} from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";

/** A whole platform on free ports, its store in memory, its instances real processes. */
export interface PlatformFixture {
  readonly folder: string;
  readonly apiUrl: string;
  readonly routerUrl: string;
  readonly token: string;
  /** What a user's shell has: a home of its own, and the API and token. */
  readonly env: Record<string, string>;
  /** Makes a folder below {@link PlatformFixture.folder} with these files; gives its path. */
  files(name: string, files: Readonly<Record<string, string>>): Promise<string>;
  /** Asks the router for an app, as a browser would. */
  get(host: string, path?: string): Promise<{ readonly status: number; readonly body: string }>;
  /** Every record of the store, and every line of the log, debug included. */
  everything(): Promise<string>;
  tidy(): Promise<void>;
  stop(): Promise<void>;
}

async function all(store: StateStore, kind: Kind): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const stored of store.list(kind)) found.push(stored);
  return found;
}

const APPS_DOMAIN = "apps.localhost";
const NODE_ID = "node-1";

export async function startPlatform({
  table: givenTable,
  clusterId: givenId,
  ...options
}: {
  readonly uploads?: UploadFetcher;
  /** Closed with the platform. Default: one in memory. */
  readonly table?: RouteTable;
  readonly clusterId?: string;
} = {}): Promise<PlatformFixture> {
  const folder = await mkdtemp(join(tmpdir(), "dinp-cli-"));
  // Instances may run under a user of their own.
  await chmod(folder, 0o755);
  const [clock, random, hasher] = [createSystemClock(), createSystemRandom(), createNodeHasher()];
  const logLines: string[] = [];
  const logger = createPinoLogger({ level: "debug", destination: { write: (line) => logLines.push(line) } });
  const secrets = createFileSecretBox({ keyFile: join(folder, "secrets.key") });
  const store = createMemoryStateStore({ clock });
  await store.open();
  const router = { id: "router-1", address: "here", registeredAt: clock.now() };
  await store.commit([{ op: "put", kind: "router", value: router }]);
  const registry = createOciLayoutRegistry({ dir: join(folder, "registry") });
  const archive = createTarArchive();
  const clusterId = givenId ?? newId(random, "test");
  const runtime = createProcessRuntime({
    dataDir: join(folder, "node"),
    clusterId,
    nodeAddress: "127.0.0.1",
    unpack: createImageUnpacker({ registry, archive, readImage }),
    clock,
  });
  await runtime.open();
  const table = givenTable ?? createMemoryRouteTable({ random });
  const link = createInProcessControlLink();
  const addresses = { router: "http://127.0.0.1:1" };
  const info = (): PlatformInfo => ({
    version: "0.0.0",
    clusterId,
    appsDomain: APPS_DOMAIN,
    routerUrl: addresses.router,
  });
  const builder = createBuilder({
    bases: createBaseSource(store),
    registry,
    archive,
    hasher,
    clock,
    parseYaml,
  });
  const logs = { logs: (wanted: Parameters<Server["logs"]>[0]) => server.logs(wanted) };
  const platform = createPlatform({
    store,
    clock,
    random,
    hasher,
    builder,
    images: createImages({ registry, archive }),
    secrets,
    ...options,
    logger,
    info,
    logs: { logs: (wanted) => logs.logs({ nodeId: NODE_ID, ...wanted }) },
    cluster: () => server,
  });
  const server = new Server({
    store,
    table,
    link,
    clock,
    random,
    logger,
    policy: defaultPlanPolicy,
    secrets,
    appsDomain: APPS_DOMAIN,
    holder: "server-1",
  });
  await mkdir(join(folder, "agent"));
  const state = createFileLocalState({ dir: join(folder, "agent") });
  const ports = new InstancePorts({
    range: { first: 21_000, last: 29_999 },
    state,
    random,
    isFree: (port) => isPortFree(port),
  });
  const prober = createHttpProber();
  const agent = new Agent({
    nodeId: NODE_ID,
    address: "127.0.0.1",
    runtime,
    prober,
    link,
    ports,
    state,
    clock,
    random,
    logger,
  });
  const follower = createRouteFollower({ table, routerId: router.id, clock, logger });
  const end = new AbortController();
  const loops = Promise.allSettled([server.run(end.signal), agent.run(end.signal), follower.run(end.signal)]);
  await follower.whenReady(end.signal);
  const forwarder = await loadHttpProxyForwarder();
  const listen = { host: "127.0.0.1", port: 0 };
  const httpRouter = createHttpRouter({ listen, routerId: router.id, follower, forwarder, clock, logger });
  const routerAt = await httpRouter.start();
  addresses.router = `http://127.0.0.1:${String(routerAt.port)}`;
  const api = createHttpApi({ platform, logger, listen });
  const apiUrl = await api.start();
  const { secret } = await platform.createAdminToken({ subject: "tester" });

  return {
    folder,
    apiUrl,
    routerUrl: addresses.router,
    token: secret,
    everything: async () =>
      JSON.stringify([await Promise.all(kinds.map((kind) => all(store, kind))), logLines]),
    tidy: () => platform.tidy(),
    env: { HOME: join(folder, "home"), DINP_API: apiUrl, DINP_TOKEN: secret },
    files: (name, files) => writeFiles(join(folder, name), files),
    get: (host, path = "/") => get(routerAt.port, host, path),
    async stop() {
      await httpRouter.close();
      await forwarder.close();
      await api.close();
      end.abort();
      await loops;
      await runtime.stopAll({ graceMs: 1_000 });
      await runtime.close();
      await table.close();
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

function get(
  port: number,
  host: string,
  path: string,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, path, headers: { host }, agent: false }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        body += chunk;
      });
      answer.on("end", () => {
        resolve({ status: answer.statusCode ?? 0, body });
      });
      answer.on("error", reject);
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

/** A small web app: says who it is and a variable, and what it was told to say at its start. */
export const webApp = `
const { createServer } = require("node:http");
console.log("listening");
createServer((request, answer) => {
  answer.end(JSON.stringify({ color: process.env.COLOR ?? "none", pid: process.pid, path: request.url }));
}).listen(Number(process.env.PORT), process.env.HOST ?? undefined);
process.on("SIGTERM", () => process.exit(0));
`;
