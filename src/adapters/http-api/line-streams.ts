import type { ServerResponse } from "node:http";
import { DinpError } from "@dinp/core";
import { errorBody } from "./errors.js";

export interface LineStreamsOptions {
  readonly heartbeatMs: number;
  /** Streams that may be open at the same time; more are refused with `DINP_BUSY`. */
  readonly streamsMax: number;
  /** A client that reads nothing for this long is let go. */
  readonly stallMs: number;
}

type Source = (signal: AbortSignal) => AsyncIterable<unknown>;
/** What the client may know of an error of the source. */
type Describe = (error: unknown) => DinpError;
type Next = { readonly type: "next"; readonly result: IteratorResult<unknown> };
type Answer = Next | { readonly type: "failed"; readonly error: unknown };
type Step = Next | { readonly type: "quiet" };

const FIRST_VALUE_WAIT_MS = 1_000;
const encoder = new TextEncoder();

function line(value: unknown): Uint8Array {
  return encoder.encode(`${JSON.stringify(value)}\n`);
}

/** Answers of JSON lines: bounded in number, with heartbeats, read from their source only as fast as the client reads. */
export class LineStreams {
  readonly #options: LineStreamsOptions;
  readonly #closing = new AbortController();
  #open = 0;

  constructor(options: LineStreamsOptions) {
    this.#options = options;
  }

  /** Ends all streams, each with a line that says so. */
  close(): void {
    this.#closing.abort();
  }

  /** Rejects with the source's error when it fails at once: then it is answered with its status. */
  async open(
    source: Source,
    describe: Describe,
    outgoing: ServerResponse,
  ): Promise<ReadableStream<Uint8Array>> {
    if (this.#open >= this.#options.streamsMax) {
      throw new DinpError("DINP_BUSY", `${String(this.#open)} streams are open, which is as many as may.`, {
        retryable: true,
        hint: "End some that follow logs, events or rollouts.",
      });
    }
    if (outgoing.destroyed) throw new DinpError("DINP_ABORTED", "The client has gone.");
    this.#open += 1;
    const stream = new LineStream(source, describe, this.#closing.signal, this.#options, outgoing);
    outgoing.once("close", () => {
      this.#open -= 1;
      stream.finish();
    });
    await stream.start();
    return stream.body();
  }
}

class LineStream {
  readonly #options: LineStreamsOptions;
  readonly #describe: Describe;
  readonly #closing: AbortSignal;
  readonly #end = new AbortController();
  readonly #iterator: AsyncIterator<unknown>;
  readonly #outgoing: ServerResponse;
  #isAsking = false;
  #answer: Answer | null = null;
  #wake: (() => void) | null = null;
  #first: Step | null = null;
  #stallTimer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(
    source: Source,
    describe: Describe,
    closing: AbortSignal,
    options: LineStreamsOptions,
    outgoing: ServerResponse,
  ) {
    this.#describe = describe;
    this.#options = options;
    this.#closing = closing;
    this.#outgoing = outgoing;
    this.#iterator = source(AbortSignal.any([closing, this.#end.signal]))[Symbol.asyncIterator]();
  }

  async start(): Promise<void> {
    try {
      this.#first = await this.#step(FIRST_VALUE_WAIT_MS);
    } catch (error) {
      this.finish();
      throw error;
    }
  }

  body(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        pull: (controller) => this.#pull(controller),
        cancel: () => {
          this.finish();
        },
      },
      { highWaterMark: 0 },
    );
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    clearTimeout(this.#stallTimer);
    try {
      const step = this.#first ?? (await this.#step(this.#options.heartbeatMs));
      this.#first = null;
      if (this.#isOver) return;
      if (step.type === "quiet") controller.enqueue(line({ type: "heartbeat" }));
      else if (step.result.done === true) {
        if (this.#closing.aborted) controller.enqueue(line(errorBody(closedError())));
        this.finish();
        controller.close();
        return;
      } else controller.enqueue(line(step.result.value));
      this.#watchForStall();
    } catch (error) {
      if (this.#isOver) return;
      controller.enqueue(line(errorBody(this.#describe(error))));
      this.finish();
      controller.close();
    }
  }

  /** The source's next value, or `quiet` when there is none for that long. */
  async #step(waitMs: number): Promise<Step> {
    if (!this.#isAsking) this.#ask();
    if (this.#answer === null) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
    const answer = this.#answer;
    if (answer === null) return { type: "quiet" };
    this.#answer = null;
    this.#isAsking = false;
    if (answer.type === "failed") throw answer.error;
    return answer;
  }

  #ask(): void {
    this.#isAsking = true;
    const answered = (answer: Answer): void => {
      this.#answer = answer;
      this.#wake?.();
    };
    this.#iterator.next().then(
      (result) => {
        answered({ type: "next", result });
      },
      (error: unknown) => {
        answered({ type: "failed", error });
      },
    );
  }

  #watchForStall(): void {
    this.#stallTimer = setTimeout(() => {
      this.#outgoing.destroy();
    }, this.#options.stallMs);
  }

  /** Ends the source, whatever it is doing. Idempotent; a value or failure of it that still comes is nobody's. */
  finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#stallTimer);
    this.#end.abort();
    this.#wake?.();
    this.#iterator.return?.().catch(() => undefined);
  }
}

function closedError(): DinpError {
  return new DinpError("DINP_CLOSED", "The platform is stopping.", { retryable: true });
}
