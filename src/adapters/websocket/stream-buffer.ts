import { DinpError } from "@dinp/core";
import { ITEM_BYTES_MAX, LAST_WORD_MS_MAX } from "./limits.js";
import type { Item } from "./message-schemas.js";

type End = { readonly error: DinpError | null };

/** What of one stream has come and was not read: at most a window, which is opened again as it is read. */
export class StreamBuffer {
  readonly #window: number;
  readonly #credit: (bytes: number) => void;
  readonly #items: { readonly item: Item; readonly bytes: number }[] = [];
  #unread = 0;
  #uncredited = 0;
  #end: End | null = null;
  #isCancelled = false;
  #lastWordTimer: NodeJS.Timeout | undefined;
  #wake: () => void = () => undefined;

  constructor(windowBytes: number, credit: (bytes: number) => void) {
    this.#window = windowBytes;
    this.#credit = credit;
  }

  /** Throws when the source is further ahead than it may be. */
  put(item: Item, bytes: number): void {
    if (this.#isCancelled || this.#end !== null) return;
    this.#unread += bytes;
    if (this.#unread + this.#uncredited > this.#window + ITEM_BYTES_MAX)
      throw new Error("a stream is further ahead than it may be");
    this.#items.push({ item, bytes });
    this.#wake();
  }

  end(): void {
    this.#finish({ error: null });
  }

  fail(error: DinpError): void {
    this.#finish({ error });
  }

  /** Nothing more is wanted but the end, for a bounded time. False when it has come, or this was known. */
  cancel(): boolean {
    if (this.#isCancelled || this.#end !== null) return false;
    this.#isCancelled = true;
    this.#items.length = 0;
    this.#lastWordTimer = setTimeout(() => {
      const message = "The agent does not say whether the command has ended.";
      this.fail(new DinpError("DINP_UNAVAILABLE", message, { retryable: true }));
    }, LAST_WORD_MS_MAX);
    return true;
  }

  /** The next item, null at the end; throws the stream's error. To be called by one reader. */
  async next(): Promise<Item | null> {
    for (;;) {
      const first = this.#items.shift();
      if (first !== undefined) {
        this.#read(first.bytes);
        return first.item;
      }
      if (this.#end?.error != null) throw this.#end.error;
      if (this.#end !== null) return null;
      await this.#news();
    }
  }

  /** Resolves when the stream has ended, however. */
  async lastWord(): Promise<void> {
    while (!this.#hasEnded()) await this.#news();
  }

  #hasEnded(): boolean {
    return this.#end !== null;
  }

  #read(bytes: number): void {
    this.#unread -= bytes;
    this.#uncredited += bytes;
    if (this.#uncredited * 2 < this.#window || this.#end !== null) return;
    this.#credit(this.#uncredited);
    this.#uncredited = 0;
  }

  #finish(end: End): void {
    this.#end ??= end;
    clearTimeout(this.#lastWordTimer);
    this.#wake();
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
