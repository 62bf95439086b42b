import { setMaxListeners } from "node:events";
import { isDinpError } from "@dinp/core";
import { closedError } from "./errors.js";

/**
 * The life of a runtime: opened once (anew only after a failure), used, closed once. `Opened` is what it holds in between.
 * Whatever fails while it closes is `DINP_CLOSED` for the caller.
 */
export class Lifecycle<Opened> {
  readonly #explain: (what: string, error: unknown) => unknown;
  readonly #closing = new AbortController();
  #state: "new" | "opening" | "open" | "closed" = "new";
  #opened: Opened | null = null;
  #opening: Promise<void> = Promise.resolve();
  #closed: Promise<void> | null = null;

  /** @param explain What an error becomes for the caller; `what` is the beginning of a sentence, such as "Cannot start it". */
  constructor(explain: (what: string, error: unknown) => unknown) {
    this.#explain = explain;
    // Every command and every stop waits with it.
    setMaxListeners(0, this.#closing.signal);
  }

  /** Aborts when the runtime closes, after the work that is brought to its end. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  async open(what: string, begin: () => Promise<Opened>): Promise<void> {
    if (this.#state === "closed") throw closedError();
    if (this.#state !== "new") throw new TypeError("A runtime is opened once.");
    this.#state = "opening";
    const opening = begin().then((opened) => {
      this.#opened = opened;
      this.#state = "open";
    });
    this.#opening = opening.catch(() => undefined);
    try {
      await opening;
    } catch (error) {
      // After a failure it may be opened again.
      this.#state = "new";
      throw this.#explain(what, error);
    }
  }

  /** What is open. `DINP_CLOSED` after the close, `TypeError` before the open. */
  use(): Opened {
    if (this.#state === "closed") throw closedError();
    if (this.#state !== "open" || this.#opened === null)
      throw new TypeError("The runtime is not open; call open() first.");
    return this.#opened;
  }

  /** The work's outcome, its failure explained. */
  async guard<T>(what: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw this.explained(what, error);
    }
  }

  explained(what: string, error: unknown): unknown {
    if (this.#closing.signal.aborted && !isDinpError(error, "DINP_ABORTED")) return closedError();
    return this.#explain(what, error);
  }

  /**
   * Refuses what comes from now on. Then `settle` brings to its end what must not be cut, the closing signal aborts, and
   * `release` lets go of what is open. Idempotent.
   */
  close(settle: () => Promise<void>, release: (opened: Opened | null) => Promise<void>): Promise<void> {
    this.#closed ??= this.#close(settle, release);
    return this.#closed;
  }

  async #close(
    settle: () => Promise<void>,
    release: (opened: Opened | null) => Promise<void>,
  ): Promise<void> {
    await this.#opening;
    this.#state = "closed";
    await settle();
    this.#closing.abort();
    await release(this.#opened);
  }
}
