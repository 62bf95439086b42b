import { isDinpError, messageOf, type DinpErrorCode } from "../model/errors.js";
import type { Clock, LocalState, Logger } from "../ports/system.js";
import { isAborted } from "./abort.js";
import { Latch } from "./latch.js";
import { readMark, writeMark, type RegistrationMark } from "./registration-mark.js";
import { Backoff, hintOf, runTogether, sleepQuietly } from "./tasks.js";

/** Between one confirmation and the next. */
const CONFIRM_EVERY_MS = 60_000;
/** A start waits this long for the platform before it goes by its mark: a router has to serve soon. */
const START_MS = 500;
const BACKOFF_MS = { min: 500, max: 15_000 };
/** What waiting does not mend. */
const hopeless: readonly DinpErrorCode[] = ["DINP_UNAUTHENTICATED", "DINP_FORBIDDEN", "DINP_INVALID"];

export interface RouterRegistrarOptions {
  readonly routerId: string;
  readonly clusterId: string;
  /** Registers the router at the platform. Idempotent; bounded in time. */
  readonly register: (options: {
    readonly signal: AbortSignal;
  }) => Promise<{ readonly registeredAt: number }>;
  /** Where the mark of the registration is kept. */
  readonly state: LocalState;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For how long after the last confirmation a start may go by its mark while the platform does not answer. */
  readonly trustMs: number;
  /** Nothing waited for this router for a while, or ever: what it knows from before may be too old. Is waited for. */
  readonly onUnwaited: () => Promise<void>;
}

/**
 * Keeps a router registered, so that no port that it may send requests to is given to another app. It must serve nothing before
 * {@link RouterRegistrar.whenRegistered}, and then what it reads after that.
 *
 * A mark on disk lets a router that was registered start while the platform does not answer. Whoever comes back after it was
 * forgotten registers again as soon as the platform answers, and is told (`onUnwaited`).
 */
export interface RouterRegistrar {
  /**
   * Registers, and then confirms that once a minute, until the signal aborts. Rejects with what waiting does not mend
   * (`DINP_UNAUTHENTICATED`, `DINP_FORBIDDEN`, `DINP_INVALID`) when the router is not registered.
   */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the router may serve; `DINP_ABORTED` when the signal aborts first. */
  whenRegistered(signal: AbortSignal): Promise<void>;
  /** Why the registration is not confirmed at present, for people; null when it is. */
  problem(): string | null;
}

/** Makes a {@link RouterRegistrar}. Does no I/O before `run`. */
export function createRouterRegistrar(options: RouterRegistrarOptions): RouterRegistrar {
  return new Registrar(options);
}

class Registrar implements RouterRegistrar {
  readonly #options: RouterRegistrarOptions;
  readonly #registered = new Latch();
  #mark: RegistrationMark | null = null;
  #problem: string | null = "the platform was not asked yet";

  constructor(options: RouterRegistrarOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#mark = await readMark(this.#options.state, this.#options);
    await runTogether([(inner) => this.#confirmAlways(inner), (inner) => this.#startInTime(inner)], signal);
  }

  async whenRegistered(signal: AbortSignal): Promise<void> {
    await this.#registered.wait(signal, "the router's registration");
  }

  problem(): string | null {
    return this.#problem;
  }

  async #startInTime(signal: AbortSignal): Promise<void> {
    await sleepQuietly(this.#options.clock, START_MS, signal);
    if (!isAborted(signal)) this.#goByMark();
  }

  async #confirmAlways(signal: AbortSignal): Promise<void> {
    const { clock, register } = this.#options;
    const backoff = new Backoff(clock, BACKOFF_MS.min, BACKOFF_MS.max);
    while (!isAborted(signal)) {
      try {
        const { registeredAt } = await register({ signal });
        await this.#confirmed(registeredAt);
        backoff.succeeded();
        await sleepQuietly(clock, CONFIRM_EVERY_MS, signal);
      } catch (error) {
        if (isAborted(signal)) return;
        this.#failed(error);
        await backoff.pause(signal);
      }
    }
  }

  async #confirmed(registeredAt: number): Promise<void> {
    const { routerId, clusterId, state, clock, logger, onUnwaited } = this.#options;
    if (this.#mark?.registeredAt !== registeredAt) {
      if (this.#mark !== null) logger.warn("this router had been forgotten; it is registered again");
      await onUnwaited();
    }
    this.#mark = { routerId, clusterId, registeredAt, confirmedAt: clock.now() };
    this.#problem = null;
    this.#registered.open();
    try {
      await writeMark(state, this.#mark);
    } catch (error) {
      logger.warn("the mark of the registration cannot be kept for the next start", {
        error: messageOf(error),
      });
    }
  }

  #failed(error: unknown): void {
    this.#goByMark();
    const isHopeless = hopeless.some((code) => isDinpError(error, code));
    if (isHopeless && !this.#registered.isOpen()) throw error;
    const reason = messageOf(error);
    if (this.#problem !== reason)
      this.#options.logger.warn("the registration cannot be confirmed; it is tried again", {
        reason,
        ...hintOf(error),
      });
    this.#problem = reason;
  }

  #goByMark(): void {
    const { clock, logger, trustMs } = this.#options;
    if (this.#registered.isOpen() || this.#mark === null) return;
    const age = Math.abs(clock.now() - this.#mark.confirmedAt);
    if (age > trustMs) return;
    logger.warn("the platform does not answer yet; the router goes by its registration of before", {
      confirmedAt: new Date(this.#mark.confirmedAt).toISOString(),
    });
    this.#registered.open();
  }
}
