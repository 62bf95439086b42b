import { builtInTemplates } from "../../build/built-in-templates.js";
import { Agent } from "../../loops/agent.js";
import { HealthMonitor } from "../../loops/health-monitor.js";
import { InstancePorts } from "../../loops/instance-ports.js";
import { Server } from "../../loops/server.js";
import type { PlanPolicy } from "../../plan/policy.js";
import { createPlatform, type Platform } from "../../platform/platform.js";
import { defaultMonitorPolicy } from "../../probing/monitor-policy.js";
import type { Program } from "./fleet.js";
import type { History } from "./history.js";
import { hasher } from "./sim-build.js";
import type { SimNetwork } from "./sim-link.js";
import type { SimNode } from "./sim-node.js";
import { createOutsideProber, createSimProber } from "./sim-prober.js";
import type { SimProcess, World } from "./sim-process.js";
import { SimRouter } from "./sim-router.js";
import { createSimRuntime } from "./sim-runtime.js";
import { SimStore } from "./sim-store.js";
import { SimTable, type SharedTable } from "./sim-table.js";

/** Few, so that they come back into use often. */
const PORTS_PER_NODE = 7;
const FIRST_PORT = 20_000;
/** Shorter than it takes in life: images go while their releases come back. */
const IMAGE_GRACE_MS = 30_000;

type Runnable = Pick<Program, "name" | "role" | "start">;

export interface ProgramsOptions {
  readonly history: History;
  readonly table: SharedTable;
  readonly network: SimNetwork;
  readonly nodes: readonly SimNode[];
  readonly appsDomain: string;
  /** What the servers plan by. */
  readonly policy: PlanPolicy;
}

/** What runs in the world's processes: the real servers, agents and routers, over ports of the simulation. */
export class Programs {
  readonly #world: World;
  readonly #options: ProgramsOptions;
  readonly #platforms = new Map<string, Platform>();
  readonly #routers = new Map<string, SimRouter>();

  constructor(world: World, options: ProgramsOptions) {
    this.#world = world;
    this.#options = options;
  }

  /** Of the servers that are up, by their names. */
  get platforms(): ReadonlyMap<string, Platform> {
    return this.#platforms;
  }

  /** That are up, by their names. */
  get routers(): ReadonlyMap<string, SimRouter> {
    return this.#routers;
  }

  /** The process of this name is no longer up. */
  forget(name: string): void {
    this.#platforms.delete(name);
    this.#routers.delete(name);
  }

  server(name: string): Runnable {
    return { name, role: "server", start: (process, signal) => this.#serve(process, signal) };
  }

  agent(node: SimNode): Runnable {
    return {
      name: node.id,
      role: "agent",
      start: (process, signal) => this.#runAgent(node, process, signal),
    };
  }

  router(name: string): Runnable {
    return { name, role: "router", start: (process, signal) => this.#route(process, signal) };
  }

  /** `doubtsItself`: judges nobody while most of its probes fail, as it should. */
  monitor(name: string, { doubtsItself }: { readonly doubtsItself: boolean }): Runnable {
    const policy = doubtsItself ? defaultMonitorPolicy : { ...defaultMonitorPolicy, failedShareMax: 1 };
    const start = (process: SimProcess, signal: AbortSignal): Promise<void> => {
      const { clock, random, logger } = process;
      const { history, nodes } = this.#options;
      const store = new SimStore(process, history);
      const holder = `${name}/${String(random.next())}`;
      const prober = createOutsideProber(process, nodes);
      const own = { monitorId: name, holder, policy };
      return new HealthMonitor({ store, clock, random, logger, prober, ...own }).run(signal);
    };
    return { name, role: "monitor", start };
  }

  #serve(process: SimProcess, signal: AbortSignal): Promise<void> {
    const { clock, random, logger, name } = process;
    const { history, table, network, appsDomain, policy } = this.#options;
    const store = new SimStore(process, history);
    const server = new Server({
      ...{ store, clock, random, logger, holder: name, appsDomain, policy },
      table: new SimTable(process, table),
      link: network.linkOf(process),
    });
    const info = { version: "0", clusterId: "sim", appsDomain, routerUrl: "http://router" };
    this.#platforms.set(
      name,
      createPlatform({
        ...{ store, clock, random, logger, hasher, info: () => info },
        builder: {
          templates: builtInTemplates,
          build: () => Promise.reject(new TypeError("Nothing is built here.")),
        },
        logs: server,
      }),
    );
    return server.run(signal);
  }

  async #runAgent(node: SimNode, process: SimProcess, signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = process;
    const state = node.diskOf(process);
    const ports = new InstancePorts({
      range: { first: FIRST_PORT, last: FIRST_PORT + PORTS_PER_NODE - 1 },
      isFree: (port) => Promise.resolve(node.isFree(port)),
      ...{ state, random },
    });
    const agent = new Agent({
      ...{ nodeId: node.id, address: node.address, state, ports, clock, random, logger },
      runtime: createSimRuntime(process, node),
      prober: createSimProber(process, node),
      link: this.#options.network.linkOf(process),
      imageGraceMs: IMAGE_GRACE_MS,
    });
    await agent.run(signal);
  }

  #route(process: SimProcess, signal: AbortSignal): Promise<void> {
    const table = new SimTable(process, this.#options.table);
    const router = new SimRouter(this.#world, process, table, this.#options.nodes, process.name);
    this.#routers.set(process.name, router);
    return router.run(signal);
  }
}
