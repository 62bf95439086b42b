import type { Fleet } from "./fleet.js";
import type { History } from "./history.js";
import type { SeededRandom } from "./seeded-random.js";
import type { SimNode } from "./sim-node.js";
import type { World } from "./sim-process.js";
import type { SharedTable } from "./sim-table.js";

const DISTURB_MS = 25_000;
const PAUSE_MS = 15_000;
const PICTURE_MS = 12_000;
const REBOOT_AFTER_START_MS = 200;
const OFF_MS = 60_000;
/** Longer than a new leader's grace time and a silence that makes a node lost. */
const OFF_MS_MAX = 300_000;
/** Until what a lost node ran is replaced, when all goes well. */
const REPLACED_MS = 45_000;
/** Longer than a new leader waits for all nodes to tell what they run. */
const UNHEARD_MS = 15_000;

export interface ChaosOptions {
  readonly random: SeededRandom;
  readonly fleet: Fleet;
  readonly nodes: readonly SimNode[];
  readonly table: SharedTable;
  readonly history: History;
}

/** What befalls processes, machines and the route table as a whole, besides what the weather does to single calls. */
export class Chaos {
  readonly #world: World;
  readonly #options: ChaosOptions;
  readonly #deeds: readonly (() => void)[];

  constructor(world: World, options: ChaosOptions) {
    this.#world = world;
    this.#options = options;
    const all: readonly (readonly [number, () => void])[] = [
      [6, this.#kill],
      [4, this.#pause],
      [6, this.#crashInstance],
      [2, this.#reboot],
      [2, this.#rebootAtStart],
      [1, this.#switchOff],
      [1, this.#loseTable],
      [1, this.#turnOver],
    ];
    // Not every world has every kind of misfortune, so that some kinds can pile up.
    this.#deeds = all.flatMap(([weight, deed]) =>
      Array<() => void>(weight * options.random.integer(0, 2)).fill(deed),
    );
  }

  begin(): void {
    this.#disturb();
    this.#takePictures();
  }

  /** One more blow, when all has come to rest and nobody asks for anything: whoever must act has only the state to go by. */
  strikeOnce(): void {
    const { random } = this.#options;
    const blows = [() => undefined, this.#kill, this.#reboot, this.#loseTable];
    random.pick(blows)();
  }

  #disturb(): void {
    const { random } = this.#options;
    if (this.#deeds.length === 0) return;
    this.#world.scheduler.after(random.exponential(DISTURB_MS), () => {
      if (!this.#world.faults.active) return;
      random.pick(this.#deeds)();
      this.#disturb();
    });
  }

  #takePictures(): void {
    this.#world.scheduler.after(PICTURE_MS, () => {
      if (!this.#world.faults.active) return;
      void this.#options.history.takePicture();
      this.#takePictures();
    });
  }

  readonly #kill = (): void => {
    const { fleet, random } = this.#options;
    this.#world.journal.count("killed");
    fleet.some(random).process?.kill();
  };

  readonly #pause = (): void => {
    const { fleet, random } = this.#options;
    this.#world.journal.count("stopped for a while");
    fleet.some(random).process?.pause(500 + random.exponential(PAUSE_MS));
  };

  readonly #crashInstance = (): void => {
    const { nodes, random } = this.#options;
    const node = random.pick(nodes);
    if (node.running.length === 0) return;
    this.#world.journal.count("instance crashed");
    node.crash(random.pick(node.running));
  };

  readonly #reboot = (): void => {
    this.#rebootNode(this.#options.random.pick(this.#options.nodes));
  };

  /** A node goes down just when it has started something: nobody may have heard of that yet. */
  readonly #rebootAtStart = (): void => {
    const { nodes, random } = this.#options;
    const node = random.pick(nodes);
    node.atNextStart(() => {
      this.#world.scheduler.after(random.exponential(REBOOT_AFTER_START_MS), () => {
        if (this.#world.faults.active) this.#rebootNode(node);
      });
    });
  };

  #rebootNode(node: SimNode): void {
    const { random, fleet } = this.#options;
    const forgets = random.pick(["nothing", "runtime", "all"] as const);
    this.#world.journal.count(`node started anew, forgets ${forgets}`);
    fleet.named(node.id)?.process?.kill();
    node.reboot(forgets);
  }

  readonly #switchOff = (): void => {
    const { nodes, random } = this.#options;
    this.#world.journal.count("node off for a while");
    this.#off(random.pick(nodes), Math.min(OFF_MS_MAX, random.exponential(OFF_MS)));
  };

  #off(node: SimNode, ms: number): void {
    const program = this.#options.fleet.named(node.id);
    if (program === undefined) return;
    program.offUntil = this.#world.scheduler.now + ms;
    program.process?.kill();
    node.reboot("nothing");
  }

  /** A node goes; once what it ran is replaced, another server leads, which hears of some of the others late. */
  readonly #turnOver = (): void => {
    const { nodes, random, fleet } = this.#options;
    const gone = random.pick(nodes);
    this.#world.journal.count("node off, then all servers started anew");
    this.#off(gone, OFF_MS_MAX);
    this.#world.scheduler.after(REPLACED_MS + random.exponential(PAUSE_MS), () => {
      if (!this.#world.faults.active) return;
      for (const { role, process } of fleet.programs) if (role === "server") process?.kill();
      for (const node of nodes)
        if (node !== gone && random.next() < 0.6)
          fleet.named(node.id)?.process?.pause(UNHEARD_MS + random.exponential(PAUSE_MS));
    });
  };

  readonly #loseTable = (): void => {
    this.#world.journal.count("route table lost its past");
    void this.#options.table.losePast();
  };
}
