import { DinpError } from "@dinp/core";
import { connectionGone, errorOf, type Failure } from "./failures.js";
import { encodeFrame, type DeepReadonly } from "./frames.js";
import { STREAMS_MAX, WINDOW_BYTES } from "./limits.js";
import type { Call, Item } from "./message-schemas.js";
import { StreamBuffer } from "./stream-buffer.js";

/** A service and its request, as they are sent. */
export type OutgoingCall = DeepReadonly<Call>;

/** The streams that a server reads from its agent. */
export class RemoteStreams {
  readonly #write: (encoded: string) => void;
  readonly #streams = new Map<number, StreamBuffer>();
  #lastId = 0;
  #gone: DinpError | null = null;

  constructor(write: (encoded: string) => void) {
    this.#write = write;
  }

  /**
   * The items of a service, from the first `next` on. When the signal aborts or the reader leaves, the agent is told. Of a
   * command the agent's last word is then waited for: that its processes are gone.
   */
  async *read(call: OutgoingCall, signal: AbortSignal): AsyncGenerator<Item, void, undefined> {
    if (this.#gone !== null) throw this.#gone;
    const isCommand = call.kind !== "logs";
    if (signal.aborted && !isCommand) return;
    if (signal.aborted) throw new DinpError("DINP_ABORTED", "The command was given up before it began.");
    const id = this.#open(call);
    const buffer = this.#buffer(id);
    const cancel = (): void => {
      if (buffer.cancel()) this.#write(encodeFrame({ t: "cancel", stream: id }));
      if (!isCommand) buffer.end();
    };
    signal.addEventListener("abort", cancel, { once: true });
    try {
      for (;;) {
        const item = await buffer.next();
        if (item === null) return;
        yield item;
      }
    } finally {
      signal.removeEventListener("abort", cancel);
      cancel();
      await buffer.lastWord();
      this.#streams.delete(id);
    }
  }

  item(id: number, item: Item, bytes: number): void {
    this.#known(id)?.put(item, bytes);
  }

  ended(id: number): void {
    this.#known(id)?.end();
  }

  failed(id: number, failure: Failure): void {
    this.#known(id)?.fail(errorOf(failure));
  }

  end(error: DinpError): void {
    this.#gone ??= error;
    for (const buffer of this.#streams.values()) buffer.fail(connectionGone());
  }

  /** Null for a stream that was left; throws for one that never was. */
  #known(id: number): StreamBuffer | null {
    if (id > this.#lastId || id === 0) throw new Error(`a stream ${String(id)} was never opened`);
    return this.#streams.get(id) ?? null;
  }

  #open(call: OutgoingCall): number {
    if (this.#streams.size >= STREAMS_MAX) {
      const message = `${String(this.#streams.size)} streams of the node are open, which is as many as may.`;
      throw new DinpError("DINP_BUSY", message, { retryable: true, hint: "End some that follow logs." });
    }
    this.#lastId += 1;
    this.#write(encodeFrame({ t: "open", stream: this.#lastId, call }));
    return this.#lastId;
  }

  #buffer(id: number): StreamBuffer {
    const buffer = new StreamBuffer(WINDOW_BYTES, (bytes) => {
      this.#write(encodeFrame({ t: "credit", stream: id, bytes }));
    });
    this.#streams.set(id, buffer);
    return buffer;
  }
}
