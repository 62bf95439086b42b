import { DinpError } from "../model/errors.js";
import type { ByteStream } from "../ports/registry.js";
import type { Clock } from "../ports/system.js";

export interface StreamBounds {
  readonly bytesMax: number;
  /** The longest wait for the next piece. */
  readonly idleMs: number;
}

/**
 * A caller's stream with bounds: `DINP_TOO_LARGE` beyond `bytesMax`, `DINP_TIMEOUT` when nothing comes for `idleMs`,
 * `DINP_ABORTED` when the signal aborts. Only the waits for the caller count, not what is done with the pieces.
 */
export async function* boundedStream(
  bytes: ByteStream,
  bounds: StreamBounds,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = bytes[Symbol.asyncIterator]();
  const waits = new BoundedWaits(bounds.idleMs, clock, signal);
  let total = 0;
  let ended = false;
  try {
    for (;;) {
      const next = await waits.wait(iterator.next());
      if (next.done === true) {
        ended = true;
        return;
      }
      total += next.value.length;
      if (total > bounds.bytesMax) {
        throw new DinpError("DINP_TOO_LARGE", `The upload has more than ${String(bounds.bytesMax)} bytes.`, {
          hint: "Leave out what the app does not need to run.",
          details: { bytesMax: bounds.bytesMax },
        });
      }
      yield next.value;
    }
  } finally {
    waits.end();
    // Not awaited: a stream that hangs would hold its reader here.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

/** Waits, one after another, that end with the signal or after too long. One timer serves them all. */
class BoundedWaits {
  readonly #idleMs: number;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #timer = new AbortController();
  #waitsSince: number | null = null;
  #fail: (error: DinpError) => void = () => undefined;

  constructor(idleMs: number, clock: Clock, signal: AbortSignal) {
    this.#idleMs = idleMs;
    this.#clock = clock;
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort);
    void this.#watch();
  }

  async wait<T>(next: Promise<T>): Promise<T> {
    this.#waitsSince = this.#clock.monotonicMs();
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#fail = reject;
        if (this.#signal.aborted) this.#onAbort();
        next.then(resolve, reject);
      });
    } finally {
      this.#waitsSince = null;
    }
  }

  end(): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#timer.abort();
  }

  readonly #onAbort = (): void => {
    this.#timer.abort();
    this.#fail(new DinpError("DINP_ABORTED", "The build was aborted."));
  };

  /** Sleeps until the present wait would be too long; never rejects. */
  async #watch(): Promise<void> {
    const { signal } = this.#timer;
    try {
      for (let leftMs = this.#idleMs; leftMs > 0;) {
        await this.#clock.sleep(leftMs, { signal });
        const since = this.#waitsSince;
        leftMs = since === null ? this.#idleMs : since + this.#idleMs - this.#clock.monotonicMs();
      }
    } catch {
      return;
    }
    this.#fail(
      new DinpError(
        "DINP_TIMEOUT",
        `The upload stopped: nothing came for ${String(this.#idleMs / 1000)} s.`,
        {
          retryable: true,
          hint: "Push again.",
        },
      ),
    );
  }
}
