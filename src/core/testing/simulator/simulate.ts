import { defaultPlanPolicy, type PlanPolicy } from "../../plan/policy.js";
import type { RouteTable } from "../../ports/route-table.js";
import type { StateStore } from "../../ports/state-store.js";
import type { Clock, Random } from "../../ports/system.js";
import { Chaos } from "./chaos.js";
import { Crowd } from "./crowd.js";
import { Faults } from "./faults.js";
import { checkFixpoint } from "./fixpoint.js";
import { Fleet } from "./fleet.js";
import { History } from "./history.js";
import { Journal, type Violation } from "./journal.js";
import type { Outside } from "./outside.js";
import { Programs } from "./programs.js";
import { Scheduler } from "./scheduler.js";
import { SeededRandom } from "./seeded-random.js";
import { behaviors, buildOf } from "./sim-build.js";
import { SimNetwork } from "./sim-link.js";
import { SimNode } from "./sim-node.js";
import { EPOCH_MS, type World } from "./sim-process.js";
import { SharedTable } from "./sim-table.js";

/**
 * The reference adapters that the simulated world is built on. They do no I/O of their own: whatever they wait for is the
 * given clock or another call, or a seed would not decide everything.
 */
export interface SimulationBackends {
  readonly createStateStore: (options: { readonly clock: Clock }) => StateStore;
  /** Called again each time the table loses its past: every one begins empty, with an incarnation of its own. */
  readonly createRouteTable: (options: { readonly random: Random }) => RouteTable;
}

export interface SimulationOptions {
  /** Decides everything: the same seed gives the same simulation, to the last millisecond. A whole number. */
  readonly seed: number;
  readonly backends: SimulationBackends;
  /** At least 1. Default 3. */
  readonly servers?: number;
  /** At least 1. Default 10. */
  readonly nodes?: number;
  /** At least 1. Default 2. */
  readonly routers?: number;
  /**
   * Outside health monitors. Each sees some instances as failing that are not, and every second one never doubts itself.
   * Default 0.
   */
  readonly monitors?: number;
  /** Simulated time. Faults end and the users stop after three quarters of it. At least 20, for all to come to rest. Default 30. */
  readonly minutes?: number;
  /** What the servers plan by. Default: `defaultPlanPolicy`. */
  readonly policy?: PlanPolicy;
  /** Told of every line of the journal, at the moment that it tells of. Changes nothing. */
  readonly onLine?: (line: string) => void;
}

export interface SimulationReport {
  readonly seed: number;
  /** The first promise that was broken; null when all were kept. */
  readonly violation: Violation | null;
  /** How many things happened, each at its own moment. */
  readonly steps: number;
  /** Equal for equal simulations. */
  readonly fingerprint: string;
  /** The journal's end. */
  readonly lastLines: readonly string[];
  /** How often each fault was injected and each thing was seen. */
  readonly counts: ReadonlyMap<string, number>;
}

const APPS_DOMAIN = "apps.test";
const FAULTS_SHARE = 0.75;

/**
 * Runs the real loops and engines in a simulated world: several servers, nodes and routers over one store and one route
 * table, users who ask for things at random, and faults. Ends at the first broken promise, or when time is over.
 * Rejects only when the world itself is broken; `TypeError` for options that make no world.
 */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const simulation = new Simulation(options);
  await simulation.run();
  return simulation.report();
}

class Simulation {
  readonly #seed: number;
  readonly #endMs: number;
  readonly #scheduler = new Scheduler();
  readonly #journal: Journal;
  readonly #world: World;
  readonly #history: History;
  readonly #table: SharedTable;
  readonly #nodes: readonly SimNode[];
  readonly #fleet: Fleet;
  readonly #chaos: Chaos;
  readonly #crowd: Crowd;
  readonly #programs: Programs;

  constructor(options: SimulationOptions) {
    const { seed, backends, policy = defaultPlanPolicy } = options;
    const { servers, nodes: nodeCount, routers, monitors, minutes } = sizesOf(options);
    this.#seed = seed;
    this.#endMs = minutes * 60_000;
    this.#journal = new Journal(this.#scheduler, options.onLine ?? null);
    const random = new SeededRandom(seed, "chaos");
    const faults = new Faults({
      random: new SeededRandom(seed, "faults"),
      scheduler: this.#scheduler,
      journal: this.#journal,
      victim: (dice) => this.#fleet.some(dice).name,
    });
    this.#world = { seed, scheduler: this.#scheduler, faults, journal: this.#journal };
    this.#history = new History(
      this.#world,
      backends.createStateStore({ clock: this.#clock() }),
      this.#outside(),
    );
    const tableRandom = new SeededRandom(seed, "table");
    this.#table = new SharedTable(this.#world, () => backends.createRouteTable({ random: tableRandom }));
    this.#nodes = numbered("n", nodeCount).map(
      (id, index) => new SimNode(this.#world, this.#history, id, `10.0.0.${String(index + 1)}`),
    );
    this.#programs = new Programs(this.#world, {
      ...{
        history: this.#history,
        table: this.#table,
        network: new SimNetwork(this.#world),
        nodes: this.#nodes,
      },
      ...{ appsDomain: APPS_DOMAIN, policy },
    });
    this.#fleet = new Fleet(this.#world, {
      random,
      programs: [
        ...numbered("server", servers).map((name) => this.#programs.server(name)),
        ...this.#nodes.map((node) => this.#programs.agent(node)),
        ...numbered("router", routers).map((name) => this.#programs.router(name)),
        ...numbered("monitor", monitors).map((name, index) =>
          this.#programs.monitor(name, { doubtsItself: index % 2 === 0 }),
        ),
      ],
      onDeath: ({ name }) => {
        this.#programs.forget(name);
      },
    });
    this.#chaos = new Chaos(this.#world, {
      random,
      ...{ fleet: this.#fleet, nodes: this.#nodes, table: this.#table, history: this.#history },
    });
    this.#crowd = new Crowd(this.#world, {
      ...{ random, history: this.#history, appsDomain: APPS_DOMAIN },
      platforms: () => [...this.#programs.platforms.values()],
      routers: () => [...this.#programs.routers.values()],
    });
  }

  async run(): Promise<void> {
    const isOver = (): boolean => this.#journal.violation !== null;
    await this.#history.store.open();
    await this.#furnish();
    this.#fleet.startAll();
    this.#world.faults.begin();
    this.#chaos.begin();
    this.#crowd.begin();
    await this.#scheduler.run(this.#endMs * FAULTS_SHARE, isOver);
    this.#journal.note("calm");
    this.#world.faults.stop();
    this.#fleet.startAll();
    this.#crowd.calm();
    this.#scheduler.after((this.#endMs * (1 - FAULTS_SHARE)) / 2, () => {
      this.#chaos.strikeOnce();
    });
    await this.#scheduler.run(this.#endMs, isOver);
    if (!isOver()) {
      const { routes } = await this.#table.present.snapshot();
      checkFixpoint({
        routes,
        ...{
          history: this.#history,
          nodes: this.#nodes,
          routers: this.#programs.routers,
          journal: this.#journal,
        },
        ...{ apps: this.#crowd.apps, wanted: this.#crowd.wanted, appsDomain: APPS_DOMAIN },
      });
    }
    this.#fleet.killAll();
    await this.#history.store.close();
    await this.#table.close();
  }

  report(): SimulationReport {
    const { violation, fingerprint, lastLines, counts } = this.#journal;
    return { seed: this.#seed, steps: this.#scheduler.acts, violation, fingerprint, lastLines, counts };
  }

  #clock(): Clock {
    return {
      now: () => EPOCH_MS + this.#scheduler.now,
      monotonicMs: () => this.#scheduler.now,
      sleep: (ms) => this.#scheduler.sleep(ms),
    };
  }

  #outside(): Outside {
    return {
      isRunning: (instanceId) => this.#nodes.some((node) => node.isRunning(instanceId)),
      mayHaveAnswered: (instanceId) =>
        !this.#nodes.some((node) => node.isSilentYet(instanceId) || node.isLongGone(instanceId)),
      usersOf: (instanceId) =>
        [...this.#programs.routers.values()].flatMap((router) => router.useOf(instanceId) ?? []),
      soughtAt: (host, port) =>
        [...this.#programs.routers.values()].flatMap((router) => [...router.soughtAt(host, port)]),
    };
  }

  /** What is there before anything runs: the routers' registrations, and builds to deploy. */
  async #furnish(): Promise<void> {
    for (const { name } of this.#fleet.programs.filter(({ role }) => role === "router")) {
      const value = { id: name, address: name, registeredAt: EPOCH_MS };
      await this.#history.commit("world", [{ op: "put", kind: "router", value }], {});
    }
    for (const app of this.#crowd.apps) {
      for (const behavior of new Set(behaviors)) {
        const value = buildOf(app, behavior);
        await this.#history.commit("world", [{ op: "put", kind: "build", value }], {});
      }
    }
  }
}

type Sizes = Required<Pick<SimulationOptions, "servers" | "nodes" | "routers" | "monitors" | "minutes">>;

/** How large the world is. `TypeError` for one that is none. */
function sizesOf(options: SimulationOptions): Sizes {
  const { seed, servers = 3, nodes = 10, routers = 2, monitors = 0, minutes = 30 } = options;
  if (!Number.isSafeInteger(seed)) throw new TypeError(`seed must be a whole number; got ${String(seed)}.`);
  for (const [name, count] of Object.entries({ servers, nodes, routers })) {
    if (!Number.isSafeInteger(count) || count < 1)
      throw new TypeError(`${name} must be a whole number from 1; got ${String(count)}.`);
  }
  if (!Number.isSafeInteger(monitors) || monitors < 0)
    throw new TypeError(`monitors must be a whole number from 0; got ${String(monitors)}.`);
  if (!Number.isFinite(minutes) || minutes < 20)
    throw new TypeError(`minutes must be a number from 20; got ${String(minutes)}.`);
  return { servers, nodes, routers, monitors, minutes };
}

function numbered(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${String(index + 1)}`);
}
