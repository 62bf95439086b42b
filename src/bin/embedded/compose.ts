import {
  Agent,
  createBuilder,
  createPlatform,
  createRouteFollower,
  defaultPlanPolicy,
  DinpError,
  InstancePorts,
  isDinpError,
  type Logger,
  newId,
  type Platform,
  readImage,
  Server,
  type StateStore,
} from "@dinp/core";
import { createHttpProber } from "@dinp/core/http";
import { createHttpApi } from "@dinp/core/http-api";
import { loadHttpProxyForwarder } from "@dinp/core/http-proxy";
import { createHttpRouter } from "@dinp/core/http-router";
import { createInProcessControlLink } from "@dinp/core/in-process";
import { createMemoryRouteTable } from "@dinp/core/memory";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { createPgliteStateStore } from "@dinp/core/pglite";
import { createImageUnpacker, createListenerGuard, createProcessRuntime } from "@dinp/core/process";
import {
  createFileLocalState,
  createNodeHasher,
  createSystemClock,
  createSystemRandom,
  isPortFree,
} from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";
import { prepareDataFolder } from "./data-folder.js";

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface EmbeddedOptions {
  readonly dataFolder: string;
  readonly api: HostPort;
  readonly router: HostPort;
  readonly appsDomain: string;
  readonly version: string;
  readonly logger: Logger;
  /** The program that serves static sites: one file without imports. */
  readonly staticServer: string;
}

/** A whole platform in this process. */
export interface Embedded {
  readonly platform: Platform;
  readonly store: StateStore;
  readonly apiUrl: string;
  readonly routerUrl: string;
  /** Resolves when the platform has ended; rejects with what ended it unasked. */
  readonly ended: Promise<void>;
  /** Ends everything in order: router, API, loops, instances, store. Idempotent. */
  stop(): Promise<void>;
}

const NODE_ID = "local";
const ROUTER_ID = "local";
const INSTANCE_PORTS = { first: 20_000, last: 29_999 };
const STOP_GRACE_MS = 5_000;
const ROUTER_DRAIN_MS = 3_000;

/** Opens the data folder and starts every engine. What was started before a failure is ended again. */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  await assertFree("API", "--api", options.api);
  await assertFree("router", "--router", options.router);
  const undo = new Undo();
  try {
    return await start(options, undo);
  } catch (error) {
    await undo.run(options.logger);
    throw error;
  }
}

async function start(options: EmbeddedOptions, undo: Undo): Promise<Embedded> {
  const { logger, appsDomain, version } = options;
  const [clock, random, hasher] = [createSystemClock(), createSystemRandom(), createNodeHasher()];
  const folder = await prepareDataFolder(options.dataFolder);

  const store = createPgliteStateStore({ dataDir: folder.store });
  undo.push(() => store.close());
  await store.open();
  const clusterId = await settle(store, "cluster-id", newId(random, "dinp"));
  await settleRuntime(store);
  await settleRouter(store, clock.now());

  const registry = createOciLayoutRegistry({ dir: folder.registry });
  const archive = createTarArchive();
  const runtime = createProcessRuntime({
    dataDir: folder.node,
    clusterId,
    nodeAddress: "127.0.0.1",
    unpack: createImageUnpacker({ registry, archive, readImage }),
    searchPath: searchPathOf(process.env["PATH"] ?? ""),
    programs: { "dinp-static": [process.execPath, options.staticServer] },
    clock,
  });
  undo.push(() => runtime.close());
  await runtime.open();
  undo.push(() => runtime.stopAll({ graceMs: STOP_GRACE_MS }));

  const table = createMemoryRouteTable({ random });
  undo.push(() => table.close());
  const link = createInProcessControlLink();
  const builder = createBuilder({ registry, archive, hasher, clock, parseYaml });
  let routerUrl = urlOf(options.router);
  const platform = createPlatform({
    store,
    clock,
    random,
    hasher,
    builder,
    logger,
    logs: { logs: (request) => server.logs({ nodeId: NODE_ID, ...request }) },
    info: () => ({ version, clusterId, appsDomain, routerUrl }),
  });
  const server = new Server({
    store,
    table,
    link,
    clock,
    random,
    logger,
    policy: defaultPlanPolicy,
    appsDomain,
    holder: NODE_ID,
    tidy: (tidyOptions) => platform.tidy(tidyOptions),
  });
  const agentState = createFileLocalState({ dir: folder.agent });
  const agent = new Agent({
    nodeId: NODE_ID,
    address: "127.0.0.1",
    runtime,
    prober: createListenerGuard(createHttpProber()),
    link,
    ports: new InstancePorts({
      range: INSTANCE_PORTS,
      state: agentState,
      random,
      isFree: (port) => isPortFree(port),
    }),
    state: agentState,
    clock,
    random,
    logger,
  });
  const follower = createRouteFollower({ table, routerId: ROUTER_ID, clock, logger });

  const loops = new AbortController();
  const running = runLoops(
    [server.run(loops.signal), agent.run(loops.signal), follower.run(loops.signal)],
    loops,
  );
  // Whoever asks for the end hears of a failure; before anyone asks it must not end the process.
  running.catch(() => undefined);
  undo.push(async () => {
    loops.abort();
    await running.catch(() => undefined);
  });
  await follower.whenReady(loops.signal);

  const api = createHttpApi({ platform, listen: options.api, logger });
  undo.push(() => api.close());
  const forwarder = await loadHttpProxyForwarder();
  const router = createHttpRouter({
    listen: options.router,
    routerId: ROUTER_ID,
    follower,
    forwarder,
    clock,
    logger,
  });
  undo.push(async () => {
    await router.close({ drainMs: ROUTER_DRAIN_MS });
    await forwarder.close();
  });
  routerUrl = urlOf(await router.start());
  const apiUrl = await api.start();
  return { platform, store, apiUrl, routerUrl, ended: running, stop: () => undo.run(logger) };
}

/** Ends all loops when one ends unasked. */
async function runLoops(loops: readonly Promise<void>[], control: AbortController): Promise<void> {
  try {
    await Promise.all(loops);
  } finally {
    control.abort();
    await Promise.allSettled(loops);
  }
}

/** Steps back, in reverse order; each runs once, and one that fails does not keep the others from running. */
class Undo {
  readonly #steps: (() => Promise<void>)[] = [];
  #running: Promise<void> | null = null;

  push(step: () => Promise<void>): void {
    this.#steps.push(step);
  }

  run(logger: Logger): Promise<void> {
    this.#running ??= this.#run(logger);
    return this.#running;
  }

  async #run(logger: Logger): Promise<void> {
    for (const step of this.#steps.reverse()) {
      try {
        await step();
      } catch (error) {
        logger.error("a part of the platform did not end well", { error: String(error) });
      }
    }
  }
}

async function settle(store: StateStore, key: string, value: string): Promise<string> {
  const known = await store.get("setting", key);
  if (known !== null) return known.value.value;
  await store.commit([{ op: "put", kind: "setting", value: { key, value }, ifRevision: "absent" }]);
  return value;
}

/** The runtime is chosen at the first start and never switches by itself. */
async function settleRuntime(store: StateStore): Promise<void> {
  const runtime = await settle(store, "runtime", "process");
  if (runtime === "process") return;
  throw new DinpError(
    "DINP_INVALID",
    `This data folder was made with the runtime ${runtime}, which is not here.`,
  );
}

async function settleRouter(store: StateStore, now: number): Promise<void> {
  const router = { id: ROUTER_ID, address: "in this process", registeredAt: now };
  try {
    await store.commit([{ op: "put", kind: "router", value: router, ifRevision: "absent" }]);
  } catch (error) {
    if (!isDinpError(error, "DINP_CONFLICT")) throw error;
  }
}

/** Before anything is opened: the commonest mistake is a second platform on the same ports. */
async function assertFree(name: string, flag: string, at: HostPort): Promise<void> {
  if (at.port === 0 || (await isPortFree(at.port, at.host))) return;
  throw new DinpError(
    "DINP_PORT_TAKEN",
    `The ${name} cannot listen on ${at.host}:${String(at.port)}: the port is taken.`,
    {
      hint: `Is a platform already running? Else choose another with ${flag} HOST:PORT.`,
    },
  );
}

function urlOf(at: HostPort): string {
  const host = at.host === "0.0.0.0" || at.host === "::" ? "127.0.0.1" : at.host;
  return `http://${host.includes(":") ? `[${host}]` : host}:${String(at.port)}`;
}

/** Where interpreters are looked for: this process's own path, without what npm puts before it for its scripts. */
function searchPathOf(path: string): readonly string[] {
  return path.split(":").filter((folder) => folder.startsWith("/") && !folder.includes("/node_modules/"));
}
