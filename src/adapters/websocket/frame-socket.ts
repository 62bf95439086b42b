import { messageOf } from "@dinp/core";
import type { RawData, WebSocket } from "ws";
import type { z } from "zod";
import { closeCodes, closeReason, type LinkEnd } from "./close-codes.js";
import { decodeFrame, numbered, type Incoming } from "./frames.js";
import { CLOSE_MS_MAX, SILENT_LOOKS_MAX } from "./limits.js";

export interface FrameSocketOptions<Frame> {
  readonly schema: z.ZodType<Frame>;
  readonly pingMs: number;
  /** Bytes that have come in so far: a long frame on a slow line is a sign of life too. */
  readonly bytesRead: () => number;
  /** The number that the other end's first frame must have. */
  readonly firstIncoming: number;
}

/** What is told of a socket. */
export interface FrameListener<Frame> {
  /** A frame, in order. Throws an `Error` when it does not belong here: that ends the connection. */
  readonly onFrame: (incoming: Incoming<Frame>) => void;
  /** Once, after which no frame comes. */
  readonly onEnd: (end: LinkEnd) => void;
}

/** A web socket of numbered frames, which ends by itself when the other end breaks the protocol or shows no sign of life. */
export class FrameSocket<Frame> {
  readonly #socket: WebSocket;
  readonly #options: FrameSocketOptions<Frame>;
  readonly #heartbeat: NodeJS.Timeout;
  #listener: FrameListener<Frame>;
  #nextIn: number;
  #nextOut = 0;
  #bytesSeen = 0;
  #silentLooks = 0;
  #end: LinkEnd | null = null;

  constructor(socket: WebSocket, options: FrameSocketOptions<Frame>, listener: FrameListener<Frame>) {
    this.#socket = socket;
    this.#options = options;
    this.#nextIn = options.firstIncoming;
    this.#listener = listener;
    this.#heartbeat = setInterval(() => {
      this.#look();
    }, options.pingMs);
    socket.on("message", (data, isBinary) => {
      this.#receive(data, isBinary);
    });
    // What is wrong is told by the close that follows.
    socket.on("error", (error) => {
      this.#finish({ code: closeCodes.badFrame, reason: messageOf(error) });
    });
    socket.on("close", (code, reason) => {
      this.#finish({ code, reason: reason.toString() });
    });
  }

  /** Null while it is open. */
  get end(): LinkEnd | null {
    return this.#end;
  }

  /** Who is told from now on. */
  set listener(listener: FrameListener<Frame>) {
    this.#listener = listener;
  }

  /** The number of the next frame that is written: the first one is what the other end asked for. */
  startAt(n: number): void {
    this.#nextOut = n;
  }

  /** The number that the next frame to come in must have. */
  expectFrom(n: number): void {
    this.#nextIn = n;
  }

  /** Sends an encoded frame; returns its number and what resolves when it has left this process, or never will. */
  write(encoded: string): { readonly n: number; readonly bytes: number; readonly sent: Promise<void> } {
    const n = this.#nextOut;
    const text = numbered(encoded, n);
    this.#nextOut += 1;
    const sent = new Promise<void>((resolve) => {
      if (this.#end !== null) resolve();
      else {
        this.#socket.send(text, () => {
          resolve();
        });
      }
    });
    return { n, bytes: Buffer.byteLength(text), sent };
  }

  /** Ends the connection: says why, and waits for the other end a bounded time. Idempotent. */
  async close(code: number, reason: string): Promise<void> {
    const socket = this.#socket;
    if (socket.readyState === socket.CLOSED) return;
    const closed = new Promise<void>((resolve) => {
      socket.once("close", () => {
        resolve();
      });
    });
    this.#finish({ code, reason });
    socket.close(code, closeReason(reason));
    const late = setTimeout(() => {
      socket.terminate();
    }, CLOSE_MS_MAX);
    await closed;
    clearTimeout(late);
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#end !== null) return;
    try {
      if (isBinary || !Buffer.isBuffer(data)) throw new Error("frames are texts");
      const incoming = decodeFrame(this.#options.schema, data);
      if (incoming.n !== this.#nextIn) {
        throw new Error(`frame ${String(incoming.n)} came where ${String(this.#nextIn)} was due`);
      }
      this.#nextIn += 1;
      this.#listener.onFrame(incoming);
    } catch (error) {
      void this.close(closeCodes.badFrame, `a bad frame: ${messageOf(error)}`);
    }
  }

  /** Counts looks, not time: after a pause of this process the other end gets its chance to be heard first. */
  #look(): void {
    const bytes = this.#options.bytesRead();
    this.#silentLooks = bytes === this.#bytesSeen ? this.#silentLooks + 1 : 0;
    this.#bytesSeen = bytes;
    if (this.#silentLooks >= SILENT_LOOKS_MAX) {
      this.#finish({ code: closeCodes.silent, reason: "the other end shows no sign of life" });
      this.#socket.terminate();
    } else this.#socket.ping();
  }

  #finish(end: LinkEnd): void {
    if (this.#end !== null) return;
    this.#end = end;
    clearInterval(this.#heartbeat);
    this.#listener.onEnd(end);
  }
}
