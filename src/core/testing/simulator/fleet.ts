import { messageOf } from "../../model/errors.js";
import type { SeededRandom } from "./seeded-random.js";
import { CLOCK_SKEW_MS_MAX, SimProcess, type World } from "./sim-process.js";

/** A program that is started again whenever it dies, and the process that it runs in now. */
export interface Program {
  readonly name: string;
  readonly role: Role;
  /** Runs until its process dies. */
  readonly start: (process: SimProcess, signal: AbortSignal) => Promise<void>;
  process: SimProcess | null;
  runs: number;
  /** Its machine is off until then. */
  offUntil: number;
}

export type Role = "server" | "agent" | "router" | "monitor";

const roles: readonly Role[] = ["server", "agent", "router", "monitor"];
/** What supervises a program starts it again at once, or its machine has to come up first. */
const restartsMs = [500, 8_000] as const;

/** All programs: starts them, and starts anew what died. */
export class Fleet {
  readonly programs: readonly Program[];
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #onDeath: (program: Program) => void;
  #isOver = false;

  constructor(
    world: World,
    options: {
      readonly random: SeededRandom;
      readonly programs: readonly Pick<Program, "name" | "role" | "start">[];
      readonly onDeath: (program: Program) => void;
    },
  ) {
    this.#world = world;
    this.#random = options.random;
    this.#onDeath = options.onDeath;
    this.programs = options.programs.map((each) => ({ ...each, process: null, runs: 0, offUntil: 0 }));
  }

  /** Starts all that is not running. */
  startAll(): void {
    for (const program of this.programs) {
      program.offUntil = 0;
      if (program.process === null) this.#start(program);
    }
  }

  /** For good. */
  killAll(): void {
    this.#isOver = true;
    for (const { process } of this.programs) process?.kill();
  }

  /** Every role in equal parts, however many programs there are of each; what there is none of is left out. */
  some(random: SeededRandom): Program {
    const role = random.pick(roles.filter((each) => this.programs.some((program) => program.role === each)));
    return random.pick(this.programs.filter((program) => program.role === role));
  }

  named(name: string): Program | undefined {
    return this.programs.find((program) => program.name === name);
  }

  #start(program: Program): void {
    const process = new SimProcess(this.#world, {
      name: program.name,
      run: program.runs,
      skewMs: (this.#random.next() - 0.5) * 2 * CLOCK_SKEW_MS_MAX,
      onDeath: () => {
        this.#bury(program);
      },
    });
    program.process = process;
    program.runs += 1;
    if (program.runs > 1) this.#world.journal.count(`started again: ${program.role}`);
    this.#world.journal.note(`${program.name} starts`);
    program.start(process, new AbortController().signal).then(
      () => {
        this.#complain(program, process, "it returned");
      },
      (error: unknown) => {
        this.#complain(program, process, messageOf(error));
      },
    );
  }

  #bury(program: Program): void {
    program.process = null;
    this.#onDeath(program);
    if (!this.#isOver) this.#startLater(program, this.#random.exponential(this.#random.pick(restartsMs)));
  }

  #startLater(program: Program, ms: number): void {
    const { scheduler } = this.#world;
    scheduler.after(ms, () => {
      if (program.process !== null) return;
      const offMs = program.offUntil - scheduler.now;
      if (offMs > 0) this.#startLater(program, offMs);
      else this.#start(program);
    });
  }

  /** Programs end when they are told to, and nobody told them. */
  #complain(program: Program, process: SimProcess, why: string): void {
    if (process.isDead) return;
    const message = `${program.name} ended by itself: ${why}`;
    this.#world.journal.violate("a-fixpoint-follows-the-faults", message);
  }
}
