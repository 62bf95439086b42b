import type { IncomingMessage } from "node:http";
import { DinpError } from "@dinp/core";

type Waiter = () => void;

/**
 * The bytes of a request as they arrive, read only as fast as they are asked for. Node's own iterator would end the
 * connection, and the answer with it, when it is left early; this one lets go of the request and can always do so.
 */
export class IncomingBody implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array> {
  readonly #incoming: IncomingMessage;
  #waiter: Waiter | null = null;
  #isEnded = false;
  #isBroken = false;
  #isReleased = false;

  constructor(incoming: IncomingMessage) {
    this.#incoming = incoming;
    incoming.on("readable", this.#onReadable);
    incoming.on("end", this.#onEnd);
    incoming.on("error", this.#onBroken);
    incoming.on("close", this.#onBroken);
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return this;
  }

  /** `DINP_ABORTED` when the client went before the end, or the request was let go. */
  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      if (this.#isReleased) throw broken();
      const chunk: unknown = this.#incoming.read();
      if (chunk instanceof Uint8Array) return { done: false, value: chunk };
      if (this.#isEnded || this.#incoming.readableEnded) return { done: true, value: undefined };
      if (this.#isBroken || this.#incoming.destroyed) throw broken();
      await new Promise<void>((resolve) => {
        this.#waiter = resolve;
      });
    }
  }

  /** Stops reading. Whoever still waits for bytes is told so. Idempotent. */
  release(): void {
    this.#isReleased = true;
    this.#incoming.off("readable", this.#onReadable);
    this.#incoming.off("end", this.#onEnd);
    this.#incoming.off("error", this.#onBroken);
    this.#incoming.off("close", this.#onBroken);
    // A late error of the connection is of no interest any more, but unheard it would end the process.
    this.#incoming.on("error", () => undefined);
    this.#wake();
  }

  readonly #onReadable = (): void => {
    this.#wake();
  };

  readonly #onEnd = (): void => {
    this.#isEnded = true;
    this.#wake();
  };

  readonly #onBroken = (): void => {
    this.#isBroken = true;
    this.#wake();
  };

  #wake(): void {
    const waiter = this.#waiter;
    this.#waiter = null;
    waiter?.();
  }
}

function broken(): DinpError {
  return new DinpError("DINP_ABORTED", "The request ended before its body did.");
}
