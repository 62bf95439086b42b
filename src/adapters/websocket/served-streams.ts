import { DinpError, type AgentServices, type ExecEvent } from "@dinp/core";
import { failureOf } from "./failures.js";
import { encodeFrame } from "./frames.js";
import { ITEM_BYTES_MAX, PIECE_BYTES_MAX, STREAMS_MAX, WINDOW_BYTES } from "./limits.js";
import type { Call, Item } from "./message-schemas.js";

type Write = (encoded: string) => { readonly bytes: number; readonly sent: Promise<void> };

interface Served {
  readonly stop: AbortController;
  /** Bytes that its reader has room for. */
  credit: number;
  wake: () => void;
}

/** The streams that an agent serves: each no further ahead of its reader than a window. */
export class ServedStreams {
  readonly #services: AgentServices;
  readonly #write: Write;
  readonly #streams = new Map<number, Served>();
  #lastId = 0;

  constructor(services: AgentServices, write: Write) {
    this.#services = services;
    this.#write = write;
  }

  /** Throws when the id was used before. */
  open(id: number, call: Call): void {
    if (id <= this.#lastId) throw new Error(`a stream ${String(id)} was opened before`);
    this.#lastId = id;
    if (this.#streams.size >= STREAMS_MAX) {
      const message = `The node serves ${String(this.#streams.size)} streams, which is as many as it may.`;
      this.#fail(id, new DinpError("DINP_BUSY", message, { retryable: true }));
      return;
    }
    const served: Served = { stop: new AbortController(), credit: WINDOW_BYTES, wake: () => undefined };
    this.#streams.set(id, served);
    void this.#serve(id, call, served);
  }

  /** A stream that has ended meanwhile needs none. */
  credit(id: number, bytes: number): void {
    const served = this.#streams.get(id);
    if (served === undefined) return;
    if (served.credit + bytes > WINDOW_BYTES) throw new Error("more room than a stream's window");
    served.credit += bytes;
    served.wake();
  }

  cancel(id: number): void {
    const served = this.#streams.get(id);
    served?.stop.abort();
    served?.wake();
  }

  end(): void {
    for (const id of this.#streams.keys()) this.cancel(id);
  }

  /** Never rejects. */
  async #serve(id: number, call: Call, served: Served): Promise<void> {
    try {
      for await (const item of this.#items(call, served.stop.signal)) await this.#send(id, item, served);
      this.#write(encodeFrame({ t: "end", stream: id }));
    } catch (error) {
      this.#fail(id, error);
    } finally {
      this.#streams.delete(id);
    }
  }

  async *#items(call: Call, signal: AbortSignal): AsyncGenerator<Item, void, undefined> {
    switch (call.kind) {
      case "logs":
        for await (const line of this.#services.logs({ ...call.request, signal })) yield { line };
        return;
      case "exec":
        yield* pieces(this.#services.exec({ ...call.request, signal }));
        return;
      case "run":
        yield* pieces(this.#services.run({ ...call.request, signal }));
    }
  }

  /** Throws `DINP_ABORTED` when the reader has left: the source is left too, and by then has ended what it had begun. */
  async #send(id: number, item: Item, served: Served): Promise<void> {
    const { signal } = served.stop;
    while (served.credit <= 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        served.wake = resolve;
      });
    }
    if (signal.aborted) throw new DinpError("DINP_ABORTED", "The reader has left the stream.");
    const encoded = encodeFrame({ t: "item", stream: id, item });
    if (Buffer.byteLength(encoded) > ITEM_BYTES_MAX - 64)
      throw new DinpError("DINP_TOO_LARGE", "An item of the stream is longer than what can be sent at once.");
    const { bytes, sent } = this.#write(encoded);
    served.credit -= bytes;
    await sent;
  }

  #fail(id: number, error: unknown): void {
    this.#write(encodeFrame({ t: "fail", stream: id, error: failureOf(error) }));
  }
}

async function* pieces(events: AsyncIterable<ExecEvent>): AsyncGenerator<Item, void, undefined> {
  for await (const event of events) {
    if (event.type === "exit") {
      yield { event };
      continue;
    }
    for (let at = 0; at < event.bytes.length; at += PIECE_BYTES_MAX)
      yield { event: { ...event, bytes: event.bytes.slice(at, at + PIECE_BYTES_MAX) } };
  }
}
