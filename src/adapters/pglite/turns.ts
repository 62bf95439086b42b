import { DinpError } from "@dinp/core";

interface Turn {
  readonly start: () => void;
  readonly refuse: (error: DinpError) => void;
}

const WAITING_MAX = 10_000;

/** Lets one task run at a time, in order of arrival: PGlite is one connection. */
export class Turns {
  readonly #waiting = new Set<Turn>();
  #isBusy = false;
  #isClosed = false;
  #whenIdle: (() => void) | null = null;

  /**
   * Runs `task` when its turn comes. `DINP_ABORTED` when the signal aborts before that (a task that has begun is not
   * disturbed), `DINP_UNAVAILABLE` when too many wait already, `DINP_CLOSED` after `close()`.
   */
  async run<T>(task: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (this.#isClosed) throw closedError();
    if (signal?.aborted === true) throw abortedError(signal);
    if (this.#isBusy) await this.#wait(signal);
    this.#isBusy = true;
    try {
      return await task();
    } finally {
      this.#next();
    }
  }

  /** Takes no more tasks, and resolves when those that it has taken are done; those still waiting can be refused. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (!this.#isBusy) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  refuseWaiting(): void {
    for (const turn of [...this.#waiting]) turn.refuse(closedError());
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiting.size >= WAITING_MAX) {
      throw new DinpError("DINP_UNAVAILABLE", `${String(WAITING_MAX)} calls already wait for the store.`, {
        retryable: true,
        hint: "Try again later.",
      });
    }
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(turn);
        signal?.removeEventListener("abort", onAbort);
      };
      const onAbort = (): void => {
        leave();
        reject(abortedError(signal));
      };
      const turn: Turn = {
        start: () => {
          leave();
          resolve();
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      this.#waiting.add(turn);
      signal?.addEventListener("abort", onAbort);
    });
  }

  #next(): void {
    const [turn] = this.#waiting;
    if (turn !== undefined) {
      // Stays busy, so that nobody comes between the one that ends and the one that starts.
      turn.start();
      return;
    }
    this.#isBusy = false;
    this.#whenIdle?.();
  }
}

function abortedError(signal: AbortSignal | undefined): DinpError {
  return new DinpError("DINP_ABORTED", "The call was aborted before it was sent.", { cause: signal?.reason });
}

function closedError(): DinpError {
  return new DinpError("DINP_CLOSED", "The store is closed.", { hint: "Open a new store." });
}
