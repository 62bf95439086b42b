import { DinpError } from "@dinp/core";

interface Parcel<T> {
  readonly value: T;
  readonly taken: () => void;
  readonly refused: (error: DinpError) => void;
}

/**
 * Passes values from senders to one reader, in order. `send` resolves when the reader has taken the value, so nothing
 * piles up that a sender does not wait for.
 */
export class Channel<T> implements AsyncIterable<T> {
  readonly #parcels: Parcel<T>[] = [];
  #wakeReader: (() => void) | null = null;
  #closed = false;

  /** Rejects with `DINP_UNAVAILABLE` when the channel is closed before the value was taken. */
  send(value: T): Promise<void> {
    if (this.#closed) return Promise.reject(connectionGone());
    return new Promise((resolve, reject) => {
      this.#parcels.push({ value, taken: resolve, refused: reject });
      this.#wakeReader?.();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const parcel of this.#parcels.splice(0)) parcel.refused(connectionGone());
    this.#wakeReader?.();
  }

  /** Ends when the channel is closed. */
  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const parcel = this.#parcels.shift();
      if (parcel !== undefined) {
        parcel.taken();
        yield parcel.value;
        continue;
      }
      if (this.#closed) return;
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
      this.#wakeReader = null;
    }
  }
}

/** What whoever uses a connection is told that has ended. */
export function connectionGone(): DinpError {
  return new DinpError("DINP_UNAVAILABLE", "The connection between agent and server is closed.", {
    retryable: true,
  });
}
