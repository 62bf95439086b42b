import {
  Agent,
  type App,
  createRouteFollower,
  defaultCheck,
  defaultMonitorPolicy,
  defaultPlanPolicy,
  type Domain,
  type FencedPlace,
  HealthMonitor,
  type HealthMonitorState,
  InstancePorts,
  type InstanceStatus,
  type Kind,
  type Logger,
  type MonitorPolicy,
  type Placement,
  type PlanPolicy,
  type Prober,
  type RecordTypes,
  type Release,
  type RouteFollower,
  type SecretBox,
  Server,
  type ServerAddress,
  type StateStore,
  type Write,
} from "@dinp/core";
import { createInProcessControlLink } from "@dinp/core/in-process";
import { createMemoryStateStore } from "@dinp/core/memory";
import { createSystemRandom } from "@dinp/core/system";
import { createRunningClock } from "../support/running-clock.js";
import { FaultyStore } from "./faulty-store.js";
import { LosableTable } from "./losable-table.js";
import { MemoryLocalState, ScriptedProber, ScriptedRuntime } from "./scripted-runtime.js";

export const appsDomain = "apps.test";

const quick: PlanPolicy = {
  ...defaultPlanPolicy,
  crashBackoffMinMs: 50,
  crashBackoffMaxMs: 200,
  lostAfterMs: 500,
  leaderGraceMs: 500,
};

/** Of all parts: no lease runs out because this process stood still. */
export const clock = createRunningClock();
const random = createSystemRandom();

/** A monitor of a test's pace. */
export interface MonitorSetup {
  readonly monitorId?: string;
  readonly prober: Prober;
  readonly store?: StateStore;
}

const quickMonitor: MonitorPolicy = {
  ...defaultMonitorPolicy,
  ...{ failureThreshold: 2, intervalMinMs: 20, intervalMaxMs: 20, calmMs: 300 },
};

interface Part {
  readonly control: AbortController;
  readonly ended: Promise<void>;
}

/** A server, agents and a router in this process, over one store, in memory unless another is given. */
export class Cluster {
  readonly store: StateStore;
  /** The server's own way to the store. */
  readonly faulty: FaultyStore;
  readonly table = new LosableTable();
  readonly link = createInProcessControlLink();
  readonly prober = new ScriptedProber();
  /** The agents' own. */
  agentProber: Prober = this.prober;
  readonly runtimes = new Map<string, ScriptedRuntime>();
  readonly states = new Map<string, MemoryLocalState>();
  readonly warnings: string[] = [];
  /** Where writes of servers were refused because another one leads. */
  readonly fenced: FencedPlace[] = [];
  readonly logger: Logger;
  readonly policy: PlanPolicy;
  router: RouteFollower | null = null;
  leaseTtlMs = 600;
  /** Of servers that are started from then on. */
  secrets: SecretBox | null = null;
  readonly #parts = new Map<string, Part>();
  readonly #agents = new Map<string, Agent>();

  constructor(policy: Partial<PlanPolicy> = {}, store: StateStore = createMemoryStateStore({ clock })) {
    this.store = store;
    this.faulty = new FaultyStore(store);
    this.policy = { ...quick, ...policy };
    const keep = (message: string): void => {
      this.warnings.push(message);
    };
    this.logger = { debug: () => undefined, info: keep, warn: keep, error: keep };
  }

  static async with(policy: Partial<PlanPolicy> = {}, secrets: SecretBox | null = null): Promise<Cluster> {
    const cluster = new Cluster(policy);
    cluster.secrets = secrets;
    await cluster.start();
    return cluster;
  }

  /** Opens the store, and starts a server, an agent and a router. */
  async start(): Promise<void> {
    await this.store.open();
    await this.put("router", { id: "r1", address: "here", registeredAt: 0 });
    this.startServer();
    this.startAgent("n1");
    this.startRouter();
  }

  startServer(name = "server", store: StateStore = this.faulty, announced?: ServerAddress): Server {
    const { table, link, logger, policy, leaseTtlMs } = this;
    const server = new Server({
      ...{ store, table, link, clock, random, logger, policy, appsDomain, leaseTtlMs },
      ...(this.secrets === null ? {} : { secrets: this.secrets }),
      holder: name,
      onFenced: (place) => this.fenced.push(place),
      ...(announced === undefined ? {} : { announced: () => announced }),
    });
    this.#start(name, (signal) => server.run(signal));
    return server;
  }

  startAgent(nodeId: string): void {
    const { link, logger, agentProber: prober } = this;
    const [runtime, state] = [this.runtime(nodeId), this.state(nodeId)];
    const ports = new InstancePorts({
      ...{ range: { first: 20_000, last: 20_063 }, state, random },
      isFree: () => Promise.resolve(true),
    });
    const agent = new Agent({
      ...{ nodeId, address: "127.0.0.1", runtime, prober, link, ports, state, clock, random, logger },
      heartbeatMs: 50,
      resyncMs: 100,
    });
    this.#agents.set(nodeId, agent);
    this.#start(nodeId, (signal) => agent.run(signal));
  }

  /** Gives how it stands. */
  startMonitor(
    name: string,
    { prober, monitorId = name, store = this.store }: MonitorSetup,
  ): () => HealthMonitorState {
    const { logger, leaseTtlMs } = this;
    const monitor = new HealthMonitor({
      ...{ store, prober, monitorId, clock, random, logger, leaseTtlMs },
      ...{ holder: name, policy: quickMonitor, concurrency: 4 },
    });
    this.#start(name, (signal) => monitor.run(signal));
    return () => monitor.state();
  }

  /** As it was started last. */
  agent(nodeId = "n1"): Agent {
    const agent = this.#agents.get(nodeId);
    if (agent === undefined) throw new Error(`no agent was started on ${nodeId}`);
    return agent;
  }

  startRouter(routerId = "r1"): void {
    const { table, logger } = this;
    const router = createRouteFollower({ table, routerId, clock, logger });
    this.router = router;
    this.#start(routerId, (signal) => router.run(signal));
  }

  /** Ends a part as its process's end would; an agent's instances run on. */
  async stop(name: string): Promise<void> {
    const part = this.#parts.get(name);
    this.#parts.delete(name);
    part?.control.abort();
    await part?.ended;
  }

  /** Fails when a part does not end. */
  async dispose(): Promise<void> {
    const names = [...this.#parts.keys()];
    const ended = Promise.all(names.map((name) => this.stop(name))).then(() => "ended");
    const timer = new AbortController();
    const outcome = await Promise.race([
      ended,
      clock.sleep(30_000, { signal: timer.signal }).then(
        () => "hangs",
        () => "ended",
      ),
    ]);
    timer.abort();
    await this.store.close();
    await this.table.close();
    if (outcome !== "ended") throw new Error(`a part does not end: ${names.join(", ")}`);
  }

  runtime(nodeId = "n1"): ScriptedRuntime {
    return known(this.runtimes, nodeId, () => new ScriptedRuntime(clock));
  }

  state(nodeId = "n1"): MemoryLocalState {
    return known(this.states, nodeId, () => new MemoryLocalState());
  }

  async put<K extends Kind>(kind: K, value: RecordTypes[K]): Promise<void> {
    await this.store.commit([{ op: "put", kind, value } as Write]);
  }

  /** A user's deployment of a new release of the app `web`. */
  async deploy(instances: number, number = 1, change: Partial<Release> = {}): Promise<void> {
    const id = `web-r${String(number)}`;
    await this.put("release", { ...release, id, number, ...change });
    await this.editApp({ instances, currentRelease: id });
  }

  async editApp(change: Partial<App>): Promise<void> {
    const stored = await this.store.get("app", "web");
    await this.put("app", { ...(stored?.value ?? app), ...change });
  }

  async all<K extends Kind>(kind: K): Promise<RecordTypes[K][]> {
    const found: RecordTypes[K][] = [];
    for await (const stored of this.store.list(kind)) found.push(stored.value);
    return found;
  }

  placements(): Promise<Placement[]> {
    return this.all("placement");
  }

  statuses(): Promise<InstanceStatus[]> {
    return this.all("instanceStatus");
  }

  domains(): Promise<Domain[]> {
    return this.all("domain");
  }

  async revision(): Promise<number> {
    return (await this.store.snapshot({ kinds: ["setting"] })).revision;
  }

  /** The instances that the router sends the app's requests to. */
  routed(host = `web.${appsDomain}`): string[] {
    const route = this.router?.index().find(host, "/");
    return (route?.endpoints ?? []).map((endpoint) => endpoint.instanceId);
  }

  /** Waits until that many instances are routed. */
  async untilRouted(count: number): Promise<string[]> {
    await until(`${String(count)} routed instances`, () => this.routed().length === count);
    return this.routed();
  }

  #start(name: string, run: (signal: AbortSignal) => Promise<void>): void {
    const control = new AbortController();
    this.#parts.set(name, { control, ended: run(control.signal) });
  }
}

/** Asks until it holds. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const end = clock.monotonicMs() + timeoutMs;
  while (!(await holds())) {
    if (clock.monotonicMs() > end) throw new Error(`not within ${String(timeoutMs)} ms: ${what}`);
    await clock.sleep(5);
  }
}

/** Holds for the whole time. */
export async function throughout(
  what: string,
  ms: number,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const end = clock.monotonicMs() + ms;
  while (clock.monotonicMs() < end) {
    if (!(await holds())) throw new Error(`does not hold any more: ${what}`);
    await clock.sleep(10);
  }
}

export const app: App = {
  ...{ id: "web", name: "web", teamId: "default", desired: "running", instances: 1 },
  ...{ currentRelease: null, createdAt: 0, deletedAt: null },
};

export const release: Release = {
  ...{ id: "web-r1", appId: "web", number: 1, template: "node", command: ["serve"], requires: [] },
  image: { repository: "web", digest: `sha256:${"0".repeat(64)}` },
  ...{ env: {}, manifestEnv: {}, memoryMb: 64, cpuMillis: 10, stopGraceMs: 100, drainMs: 4_000 },
  check: { ...defaultCheck, intervalMs: 50, timeoutMs: 50, startupMs: 5_000, failureThreshold: 2 },
  ...{ buildId: null, createdAt: 0, createdBy: "admin", note: "" },
};

function known<T>(map: Map<string, T>, key: string, make: () => T): T {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}
