import type { Journal } from "./journal.js";
import type { Scheduler } from "./scheduler.js";
import type { SeededRandom } from "./seeded-random.js";

/** What a process talks to. */
export type Site = "store" | "table" | "link" | "runtime" | "prober" | "disk";

/** What the weather does to the calls that it meets. */
type StormKind =
  /** Some calls fail, before or after their effect. */
  | "errors"
  /** No call succeeds, and what was open breaks. */
  | "outage"
  /** Reads and watches fail, writes go through. */
  | "reads-down"
  /** Everything takes long. */
  | "slow"
  /** Watches stay open and say nothing. */
  | "stall"
  /** Reads of the whole store show what was true a while ago. */
  | "lag";

interface Storm {
  readonly kind: StormKind;
  readonly site: Site;
  /** Null: everyone. */
  readonly process: string | null;
  readonly probability: number;
  readonly slowMs: number;
}

/** What becomes of one call. */
export interface Fate {
  readonly beforeMs: number;
  readonly afterMs: number;
  /** `before`: it fails without an effect; `after`: it has its effect, and its answer is lost. */
  readonly failure: "before" | "after" | null;
  /** The caller's process dies: with the call unsent, under way, or done and unanswered. */
  readonly crash: "before" | "during" | "after" | null;
  /** The call arrives although its caller gave up or died meanwhile. */
  readonly arrivesAnyway: boolean;
}

const kinds: readonly StormKind[] = ["errors", "errors", "outage", "reads-down", "slow", "stall", "lag"];
const stormSites: readonly Site[] = [
  ...(["store", "store", "store", "table", "table", "table"] as const),
  ...(["link", "link", "runtime", "prober", "disk"] as const),
];

/** Most calls are not the last ones of their process. */
const CRASH_PROBABILITY = 0.000_15;
const ERROR_PROBABILITY = 0.002;
const CUT_PROBABILITY = 0.001;
const DOUBLE_PROBABILITY = 0.02;
const LOST_HINT_PROBABILITY = 0.05;
/** How much more often than usual something goes wrong in a world: what never fails in one lets others go farther. */
const weights = [0, 0.3, 1, 1, 3] as const;
const CALM_BETWEEN_STORMS_MS = 40_000;
const STORM_MS = 45_000;
const STORM_MS_MAX = 300_000;

/** Decides, from its own stream of randomness, what goes wrong where; nothing after `stop`. */
export class Faults {
  readonly #random: SeededRandom;
  readonly #scheduler: Scheduler;
  readonly #journal: Journal;
  readonly #victim: (random: SeededRandom) => string;
  readonly #storms = new Set<Storm>();
  readonly #breakers = new Set<(site: Site, process: string | null, reads: boolean) => void>();
  /** Of this world, by kind of fault. */
  readonly #weights: { readonly [K in "storms" | "errors" | "crashes" | "watches"]: number };
  #active = true;

  constructor(options: {
    readonly random: SeededRandom;
    readonly scheduler: Scheduler;
    readonly journal: Journal;
    /** Whom a storm singles out. */
    readonly victim: (random: SeededRandom) => string;
  }) {
    this.#random = options.random;
    this.#scheduler = options.scheduler;
    this.#journal = options.journal;
    this.#victim = options.victim;
    const weight = (): number => this.#random.pick(weights);
    this.#weights = { storms: weight(), errors: weight(), crashes: weight(), watches: weight() };
  }

  get random(): SeededRandom {
    return this.#random;
  }

  get active(): boolean {
    return this.#active;
  }

  begin(): void {
    if (this.#weights.storms === 0) return;
    this.#scheduler.after(this.#random.exponential(CALM_BETWEEN_STORMS_MS / this.#weights.storms), () => {
      if (!this.#active) return;
      this.#brew();
      this.begin();
    });
  }

  /** Ends every storm; from here on all works. */
  stop(): void {
    this.#active = false;
    this.#storms.clear();
  }

  /** Told when a storm breaks what is open at a site. */
  onBreak(breaker: (site: Site, process: string | null, reads: boolean) => void): () => void {
    this.#breakers.add(breaker);
    return () => {
      this.#breakers.delete(breaker);
    };
  }

  fate(site: Site, name: string, process: string, isWrite: boolean): Fate {
    const random = this.#random;
    const storms =
      this.#storms.size === 0 ? [] : [...this.#storms].filter((storm) => meets(storm, site, process));
    let meanMs = site === "disk" ? 1 : 3;
    let failure: Fate["failure"] = null;
    for (const storm of storms) {
      if (storm.kind === "slow") meanMs += storm.slowMs;
      const isHit =
        storm.kind === "outage" ||
        (storm.kind === "reads-down" && !isWrite) ||
        (storm.kind === "errors" && random.chance(storm.probability));
      if (!isHit) continue;
      failure = storm.kind !== "errors" || random.chance(0.5) ? "before" : "after";
    }
    if (failure === null && this.#active && random.chance(ERROR_PROBABILITY * this.#weights.errors)) {
      failure = random.chance(0.5) ? "before" : "after";
    }
    const crash =
      this.#active && random.chance(CRASH_PROBABILITY * this.#weights.crashes) ? random.pick(crashes) : null;
    if (failure !== null) this.#journal.count(`error ${failure} the effect: ${site}`);
    if (crash !== null) this.#journal.count(`crash ${crash} ${site}.${name}`);
    return {
      beforeMs: random.exponential(meanMs),
      afterMs: random.exponential(meanMs),
      failure,
      crash,
      arrivesAnyway: random.chance(0.5),
    };
  }

  /** What an open watch does with its next event. */
  watchFate(
    site: Site,
    process: string,
  ): {
    readonly delayMs: number;
    readonly isCut: boolean;
    readonly isDoubled: boolean;
  } {
    const random = this.#random;
    const storms =
      this.#storms.size === 0 ? [] : [...this.#storms].filter((storm) => meets(storm, site, process));
    const slow = storms.find((storm) => storm.kind === "slow");
    const cutters = storms.some((storm) => storm.kind === "errors" && random.chance(storm.probability / 4));
    const { watches } = this.#weights;
    const isCut = this.#active && (cutters || random.chance(CUT_PROBABILITY * watches));
    const isDoubled = this.#active && random.chance(DOUBLE_PROBABILITY * watches);
    if (isCut) this.#journal.count(`watch cut: ${site}`);
    if (isDoubled) this.#journal.count(`watch event doubled: ${site}`);
    return { delayMs: random.exponential(2 + (slow?.slowMs ?? 0) / 4), isCut, isDoubled };
  }

  /** A hint may be lost: who follows hints has to look by himself too. */
  isHintLost(site: Site): boolean {
    const isLost = this.#active && this.#random.chance(LOST_HINT_PROBABILITY * this.#weights.watches);
    if (isLost) this.#journal.count(`hint lost: ${site}`);
    return isLost;
  }

  isStalled(site: Site, process: string): boolean {
    return this.#isIn("stall", site, process);
  }

  /** A read of everything shows what was true a while ago. */
  isLagging(process: string): boolean {
    return this.#isIn("lag", "store", process);
  }

  /** A read of many records is cut in their middle: it fails, although some of it had arrived. */
  isReadCut(site: Site): boolean {
    const isCut = this.#active && this.#random.chance(50 * CUT_PROBABILITY * this.#weights.errors);
    if (isCut) this.#journal.count(`read cut: ${site}`);
    return isCut;
  }

  /** Breaks all that is open at a site. */
  breakAll(site: Site): void {
    for (const each of this.#breakers) each(site, null, false);
  }

  #isIn(kind: StormKind, site: Site, process: string): boolean {
    for (const storm of this.#storms) if (storm.kind === kind && meets(storm, site, process)) return true;
    return false;
  }

  #brew(): void {
    const random = this.#random;
    const kind = random.pick(kinds);
    const storm: Storm = {
      kind,
      site: kind === "lag" ? "store" : random.pick(stormSites),
      process: random.chance(0.4) ? null : this.#victim(random),
      probability: 0.05 + 0.55 * random.next(),
      slowMs: 20 + random.exponential(400),
    };
    const ms = Math.min(STORM_MS_MAX, 1_000 + random.exponential(STORM_MS));
    const scope = storm.process ?? "everyone";
    this.#journal.note(`storm: ${storm.kind} at ${storm.site} for ${scope}, ${(ms / 1000).toFixed(0)} s`);
    this.#journal.count(`storm: ${storm.kind} at ${storm.site}`);
    this.#storms.add(storm);
    if (storm.kind === "outage" || storm.kind === "reads-down") {
      for (const each of this.#breakers) each(storm.site, storm.process, storm.kind === "reads-down");
    }
    this.#scheduler.after(ms, () => {
      this.#storms.delete(storm);
    });
  }
}

const crashes = ["before", "during", "after"] as const;

function meets(storm: Storm, site: Site, process: string): boolean {
  return storm.site === site && (storm.process === null || storm.process === process);
}
