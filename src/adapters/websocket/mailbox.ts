import { DinpError } from "@dinp/core";
import { WAITING_MESSAGES_MAX, WINDOW_MESSAGES } from "./limits.js";

interface Parcel {
  readonly encoded: string;
  readonly taken: () => void;
  readonly refused: (error: DinpError) => void;
}

/** Messages on their way out: a few at a time, each done when the other end has taken it over. */
export class Outbox {
  readonly #write: (encoded: string) => number;
  readonly #waiting: Parcel[] = [];
  readonly #underWay = new Map<number, Parcel>();
  #gone: DinpError | null = null;

  /** `write` sends an encoded frame and returns its number. */
  constructor(write: (encoded: string) => number) {
    this.#write = write;
  }

  /** `DINP_UNAVAILABLE` when the connection ends before; `DINP_BUSY` when too many wait. */
  send(encoded: string): Promise<void> {
    if (this.#gone !== null) return Promise.reject(this.#gone);
    if (this.#waiting.length >= WAITING_MESSAGES_MAX) {
      const message = `${String(this.#waiting.length)} messages wait for the other end, which is as many as may.`;
      return Promise.reject(new DinpError("DINP_BUSY", message, { retryable: true }));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ encoded, taken: resolve, refused: reject });
      this.#sendOn();
    });
  }

  /** Throws when nothing of that number is under way. */
  taken(n: number): void {
    const parcel = this.#underWay.get(n);
    if (parcel === undefined) throw new Error(`${String(n)} was taken over, which was not sent`);
    this.#underWay.delete(n);
    parcel.taken();
    this.#sendOn();
  }

  end(error: DinpError): void {
    this.#gone ??= error;
    for (const parcel of [...this.#underWay.values(), ...this.#waiting.splice(0)]) parcel.refused(error);
    this.#underWay.clear();
  }

  #sendOn(): void {
    while (this.#underWay.size < WINDOW_MESSAGES) {
      const parcel = this.#waiting.shift();
      if (parcel === undefined) return;
      this.#underWay.set(this.#write(parcel.encoded), parcel);
    }
  }
}

/** Messages that came in, until their reader takes them over. */
export class Inbox<T> implements AsyncIterable<T> {
  readonly #onTaken: (n: number) => void;
  readonly #items: { readonly n: number; readonly value: T }[] = [];
  #wake: () => void = () => undefined;
  #isOver = false;

  constructor(onTaken: (n: number) => void) {
    this.#onTaken = onTaken;
  }

  /** Throws when the other end has sent more than it may. */
  put(n: number, value: T): void {
    if (this.#items.length >= WINDOW_MESSAGES) throw new Error("more messages than may be under way");
    this.#items.push({ n, value });
    this.#wake();
  }

  /** What was not taken over is dropped: its sender knows that. */
  end(): void {
    this.#isOver = true;
    this.#items.length = 0;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#onTaken(item.n);
        yield item.value;
      } else if (this.#isOver) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
