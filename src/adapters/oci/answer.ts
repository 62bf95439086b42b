import type { DinpError } from "@dinp/core";
import { Deadline } from "./deadline.js";
import type { Exchange } from "./exchange.js";

const DISCARDED_BYTES_MAX = 64 * 1024;

/** The head of an answer, and its body once. Every answer is read to its end, or discarded. */
export class Answer {
  /** Where it came from, after redirects. */
  readonly url: URL;
  readonly status: number;
  readonly #exchange: Exchange;
  readonly #idleMs: number;
  readonly #fail: (error: unknown) => DinpError;

  /** `idleMs` is the longest wait for the next piece of the body; `fail` says what an error of the connection means. */
  constructor(url: URL, exchange: Exchange, idleMs: number, fail: (error: unknown) => DinpError) {
    this.url = url;
    this.status = exchange.response.statusCode ?? 0;
    this.#exchange = exchange;
    this.#idleMs = idleMs;
    this.#fail = fail;
  }

  /** A header field's value, several of one name joined by commas; null without one. */
  header(name: string): string | null {
    const value = this.#exchange.response.headers[name];
    if (value === undefined) return null;
    return typeof value === "string" ? value : value.join(", ");
  }

  /** The body's pieces. Leaving early ends the connection. */
  async *stream(): AsyncGenerator<Uint8Array, void, undefined> {
    const { response } = this.#exchange;
    const deadline = new Deadline((error) => response.destroy(error));
    const wait = (): void => {
      deadline.start(this.#idleMs, "BODY_TIMEOUT");
    };
    try {
      wait();
      for await (const chunk of response) {
        deadline.stop();
        if (chunk instanceof Uint8Array) yield chunk;
        wait();
      }
    } catch (error) {
      throw this.#fail(error);
    } finally {
      deadline.end();
    }
  }

  /** The whole body; null when it has more than `bytesMax`. */
  async bytes(bytesMax: number): Promise<Uint8Array | null> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of this.stream()) {
      size += chunk.length;
      if (size > bytesMax) return null;
      chunks.push(chunk);
    }
    return new Uint8Array(Buffer.concat(chunks));
  }

  /** Takes the rest of the body off the connection, or ends the connection when that is much. Never rejects. */
  async discard(): Promise<void> {
    const { request, response } = this.#exchange;
    if (!response.readableEnded && !response.destroyed) {
      await this.bytes(DISCARDED_BYTES_MAX).catch(() => undefined);
    }
    // It was answered before its end: what else would be sent belongs to no request.
    if (!request.writableEnded) request.destroy();
  }
}
