import { ended, onAbort } from "../../loops/abort.js";
import { DinpError } from "../../model/errors.js";
import type { Clock, Logger, Random } from "../../ports/system.js";
import type { Fate, Faults, Site } from "./faults.js";
import type { Journal } from "./journal.js";
import type { Owner, Scheduler } from "./scheduler.js";
import { SeededRandom } from "./seeded-random.js";

/** What the parts of one simulated world share. */
export interface World {
  readonly seed: number;
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly journal: Journal;
}

/** The beginning of simulated time, in milliseconds since the Unix epoch. */
export const EPOCH_MS = 1_700_000_000_000;

/** How far a process's clock is ahead or behind, at most. */
export const CLOCK_SKEW_MS_MAX = 4_000;

const STALL_CHECK_MS = 250;

/** One run of a program. When it dies, whatever it waits for never comes, and nothing it asks for is done. */
export class SimProcess implements Owner {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly world: World;
  readonly #onDeath: () => void;
  readonly #end = new AbortController();
  #stoppedUntil = 0;

  constructor(
    world: World,
    options: {
      readonly name: string;
      /** How many times this program was started before. */
      readonly run: number;
      /** How far its clock is ahead. */
      readonly skewMs: number;
      readonly onDeath: () => void;
    },
  ) {
    this.name = options.name;
    this.world = world;
    this.#onDeath = options.onDeath;
    this.random = new SeededRandom(world.seed, `${options.name}/${String(options.run)}`);
    this.clock = {
      now: () => Math.floor(EPOCH_MS + world.scheduler.now + options.skewMs),
      monotonicMs: () => world.scheduler.now,
      sleep: (ms, { signal } = {}) => this.#sleep(ms, signal),
    };
    const say =
      (level: string): Logger["info"] =>
      (message, fields) => {
        if (this.isDead) return;
        const line = `${this.name} ${level}: ${message} ${JSON.stringify(fields ?? {})}`;
        world.journal.note(line);
        if (level !== "info") world.journal.count(`log ${level}: ${message}`);
        else if (message === "leading") world.journal.count("a server leads");
        // The engines say so when they find that they have broken a rule of their own.
        if (level === "error") world.journal.violate("a-fixpoint-follows-the-faults", line);
      };
    this.logger = { debug: () => undefined, info: say("info"), warn: say("warn"), error: say("error") };
  }

  get isDead(): boolean {
    return this.#stoppedUntil === Number.POSITIVE_INFINITY;
  }

  get stoppedUntil(): number {
    return this.#stoppedUntil;
  }

  /** Ends what outlives the process's own code. */
  get ended(): AbortSignal {
    return this.#end.signal;
  }

  kill(): void {
    if (this.isDead) return;
    this.world.journal.note(`${this.name} dies`);
    this.#stoppedUntil = Number.POSITIVE_INFINITY;
    this.#end.abort(ended);
    this.#onDeath();
  }

  /** It does nothing for so long, and knows nothing of it. */
  pause(ms: number): void {
    if (this.isDead) return;
    this.world.journal.note(`${this.name} is stopped for ${(ms / 1000).toFixed(1)} s`);
    this.#stoppedUntil = Math.max(this.#stoppedUntil, this.world.scheduler.now + ms);
  }

  /**
   * One call over a boundary: it takes time, may fail before or after its effect, and may be the last thing that the
   * process does. A lost answer is `DINP_COMMIT_UNKNOWN` for a commit and `DINP_UNAVAILABLE` for all else.
   */
  call<T>(
    site: Site,
    name: string,
    perform: () => Promise<T>,
    options: {
      readonly isWrite?: boolean;
      readonly isCommit?: boolean;
      readonly signal?: AbortSignal | undefined;
    } = {},
  ): Promise<T> {
    if (this.isDead) return never();
    const { signal, isWrite = false } = options;
    if (signal?.aborted === true) return Promise.reject(aborted());
    this.world.journal.count(`call ${site}.${name}`);
    const fate = this.world.faults.fate(site, name, this.name, isWrite);
    if (fate.crash === "before") {
      this.kill();
      return never();
    }
    const lostAnswer = options.isCommit === true ? commitUnknown : unavailable;
    return new Promise<T>((resolve, reject) => {
      let isOver = false;
      const finish = (act: () => void): void => {
        if (isOver) return;
        isOver = true;
        detach();
        act();
      };
      const giveUp = (): void => {
        finish(() => {
          reject(aborted());
        });
      };
      const carryOut = async (): Promise<void> => {
        if ((isOver || this.isDead) && !fate.arrivesAnyway) return;
        const outcome = await this.#outcomeOf(fate, perform, lostAnswer);
        this.world.journal.note(`${this.name} ${site}.${name} ${outcome.error?.code ?? "ok"}`);
        if (fate.crash === "after") this.kill();
        const answer = (): void => {
          finish(() => {
            if (outcome.error === null) resolve(outcome.value);
            else reject(outcome.error);
          });
        };
        this.world.scheduler.after(fate.afterMs, answer, this);
      };
      const detach = signal === undefined ? () => undefined : onAbort(signal, giveUp);
      this.world.scheduler.after(fate.beforeMs, () => {
        void carryOut();
      });
      if (fate.crash === "during") this.kill();
    });
  }

  /** Events of a watch, as they get here: late, doubled (unless each is counted), and cut off now and then. */
  async *watch<T>(
    site: Site,
    open: (signal: AbortSignal) => AsyncIterable<T>,
    options: {
      readonly signal: AbortSignal;
      readonly onEnd?: () => void;
      readonly isHint?: boolean;
      /** Says that there was a gap, where the port has a word for it. */
      readonly gap?: T;
    },
  ): AsyncGenerator<T, void> {
    const { faults, journal } = this.world;
    const { signal } = options;
    const end = new AbortController();
    let isBroken = false;
    const shut = (): void => {
      end.abort(ended);
    };
    const breakOff = (): void => {
      isBroken = true;
      shut();
    };
    const detach = faults.onBreak((where, process) => {
      if (where === site && (process === null || process === this.name)) breakOff();
    });
    const detachers = [onAbort(signal, shut), onAbort(this.ended, shut)];
    try {
      try {
        await this.call(site, "watch", () => Promise.resolve(), { signal });
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      for await (const item of open(end.signal)) {
        const { delayMs, isCut, isDoubled } = faults.watchFate(site, this.name);
        await this.#hold(site, delayMs, end.signal);
        if (end.signal.aborted) break;
        if (isCut) {
          isBroken = true;
          break;
        }
        if (options.isHint === true && faults.isHintLost(site)) continue;
        yield item;
        if (isDoubled) yield item;
      }
      if (this.isDead) await never();
      if (!isBroken) return;
      journal.note(`${this.name} ${site}.watch breaks`);
      if (options.gap !== undefined && faults.random.chance(0.5)) yield options.gap;
      else throw unavailable();
    } finally {
      end.abort(ended);
      detach();
      for (const each of detachers) each();
      options.onEnd?.();
    }
  }

  /** An event on its way: late by so much, and held while the weather stalls. */
  async #hold(site: Site, delayMs: number, signal: AbortSignal): Promise<void> {
    let ms = delayMs;
    do {
      await this.#sleep(ms, signal).catch(() => undefined);
      ms = STALL_CHECK_MS;
    } while (!signal.aborted && this.world.faults.isStalled(site, this.name));
  }

  async #outcomeOf<T>(
    fate: Fate,
    perform: () => Promise<T>,
    lostAnswer: () => DinpError,
  ): Promise<{ readonly error: null; readonly value: T } | { readonly error: DinpError }> {
    if (fate.failure === "before") return { error: unavailable() };
    try {
      const value = await perform();
      return fate.failure === "after" ? { error: lostAnswer() } : { error: null, value };
    } catch (error) {
      if (error instanceof DinpError) return { error };
      throw error;
    }
  }

  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.isDead) return never();
    if (signal?.aborted === true) return Promise.reject(ended);
    return new Promise((resolve, reject) => {
      const appointment = this.world.scheduler.after(
        ms,
        () => {
          detach();
          resolve();
        },
        this,
      );
      const giveUp = (): void => {
        appointment.cancel();
        reject(ended);
      };
      const detach = signal === undefined ? () => undefined : onAbort(signal, giveUp);
    });
  }
}

/** What a dead process waits for. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}

export function unavailable(): DinpError {
  return new DinpError("DINP_UNAVAILABLE", "The simulated network failed.", { retryable: true });
}

function commitUnknown(): DinpError {
  return new DinpError("DINP_COMMIT_UNKNOWN", "The simulated network lost the answer.");
}

function aborted(): DinpError {
  return new DinpError("DINP_ABORTED", "The call was aborted.");
}
