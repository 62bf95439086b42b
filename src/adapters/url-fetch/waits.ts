import { DinpError } from "@dinp/core";

/**
 * The waits of one fetch: each has a bound of its own, all together have one, and the caller's signal ends them. Once one
 * has failed so, {@link Waits.signal} is aborted and no other succeeds.
 */
export class Waits {
  readonly #control = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #total: NodeJS.Timeout;

  constructor(totalMs: number, late: DinpError, outer: AbortSignal | undefined) {
    this.#outer = outer;
    this.#total = setTimeout(() => {
      this.#fail(late);
    }, totalMs);
    outer?.addEventListener("abort", this.#onAbort);
    if (outer?.aborted === true) this.#onAbort();
  }

  /** Aborted with the error that the waits failed with. */
  get signal(): AbortSignal {
    return this.#control.signal;
  }

  /** What `step` gives, within `ms`; else fails with `late`. */
  async wait<T>(step: Promise<T>, ms: number, late: DinpError): Promise<T> {
    const { signal } = this.#control;
    const timer = setTimeout(() => {
      this.#fail(late);
    }, ms);
    let onFailure: () => void = () => undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        onFailure = () => {
          reject(signal.reason as DinpError);
        };
        signal.addEventListener("abort", onFailure);
        if (signal.aborted) onFailure();
        step.then(resolve, reject);
      });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onFailure);
    }
  }

  /** Ends what is still under way. Idempotent. */
  end(): void {
    this.#fail(new DinpError("DINP_ABORTED", "The fetch has ended."));
  }

  #fail(error: DinpError): void {
    clearTimeout(this.#total);
    this.#outer?.removeEventListener("abort", this.#onAbort);
    if (!this.#control.signal.aborted) this.#control.abort(error);
  }

  readonly #onAbort = (): void => {
    this.#fail(new DinpError("DINP_ABORTED", "The fetch was aborted."));
  };
}
