import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { rawRefusal, type Refusal, sendRefusal } from "./refusal.js";

/** One request of a connection, from its head to the end of its answer. */
export interface Job {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Set when the rest of the request turned out to be malformed or does not come. */
  refusal: Refusal | null;
}

/** Requests that a client may have sent ahead on one connection; those above are refused. */
const PIPELINED_MAX = 100;
/** With so many sent ahead the connection is cut: even refusals would take too much memory. */
const PIPELINED_CUT = 1_000;

/** How long a client may go on sending after it was refused, so that it sees the answer before the connection closes. */
const LINGER_MS = 1_000;

/**
 * One client connection: its requests one after the other (pipelined ones wait for their turn), and the ways it ends.
 */
export class Connection {
  readonly socket: Socket;
  #tail: Promise<void> = Promise.resolve();
  #active = 0;
  #last: Job | null = null;
  #running: Job | null = null;
  #doomed = false;
  #failed = false;
  #upgraded = false;
  #halfClosed: NodeJS.Timeout | null = null;
  readonly #onIdle: () => void;

  /** `onIdle` is called when all requests that have come are answered, and the next may come. */
  constructor(socket: Socket, options: { readonly halfClosedMs: number; readonly onIdle: () => void }) {
    this.socket = socket;
    this.#onIdle = options.onIdle;
    // Errors end in `close`; without a listener one on an upgraded connection would end the process.
    socket.on("error", () => undefined);
    socket.once("end", () => {
      if (this.#active === 0 || this.#upgraded) return;
      // The client sends nothing more. It may still read, or be gone: that shows only when something is sent.
      this.#halfClosed = setTimeout(() => socket.destroy(), options.halfClosedMs);
    });
    socket.once("close", () => {
      if (this.#halfClosed !== null) clearTimeout(this.#halfClosed);
    });
  }

  /** True while a request is being answered or waits for its turn. */
  get busy(): boolean {
    return this.#active > 0;
  }

  /** The request that is being answered. */
  get running(): Job | null {
    return this.#running;
  }

  /** Nothing that the client has sent after the present request is looked at. */
  doom(): void {
    this.#doomed = true;
  }

  /** The connection is a tunnel from now on. */
  upgrade(): void {
    this.#upgraded = true;
  }

  /** Runs the job when those before it have ended, unless the connection has come to its end. */
  enqueue(job: Job, run: (job: Job) => Promise<void>): void {
    this.#last = job;
    if (this.#active >= PIPELINED_CUT) this.socket.destroy();
    else if (this.#active >= PIPELINED_MAX) job.refusal = tooManyRequests;
    this.#inTurn(async () => {
      this.#running = job;
      await run(job);
      this.#running = null;
    });
  }

  /** What came cannot be read as a request: the refusal is the connection's last answer. */
  fail(refusal: Refusal): void {
    if (this.#failed) return;
    this.#failed = true;
    const job = this.#last;
    if (this.busy && job !== null && !job.request.complete) {
      job.refusal = refusal;
      if (this.#running === job) this.interrupt(job, refusal);
      return;
    }
    this.#inTurn(() => {
      this.doom();
      this.socket.end(rawRefusal(refusal), "latin1");
      this.#linger();
      return Promise.resolve();
    });
  }

  /** Ends a running job with a refusal, or, when its answer has begun, with a cut. */
  interrupt(job: Job, refusal: Refusal): void {
    job.refusal = refusal;
    this.doom();
    if (job.response.headersSent) this.socket.destroy();
    else sendRefusal(job.request, job.response, { ...refusal, close: true });
  }

  /**
   * Reads and drops what is left of an answered request's body, for `ms` at most: closing at once would take the answer
   * away from a client that is still sending.
   */
  discardRest(request: IncomingMessage, ms: number): void {
    if (request.complete || this.socket.destroyed) return;
    const timer = setTimeout(() => this.socket.destroy(), ms);
    const stop = (): void => {
      clearTimeout(timer);
    };
    request.once("end", stop);
    request.once("close", stop);
    this.socket.once("close", stop);
    request.resume();
  }

  #inTurn(run: () => Promise<void>): void {
    this.#active += 1;
    this.#tail = this.#tail.then(async () => {
      try {
        if (!this.#doomed && !this.socket.destroyed) await run();
      } finally {
        this.#active -= 1;
        if (!this.busy && !this.socket.destroyed) this.#onIdle();
      }
    });
  }

  #linger(): void {
    const timer = setTimeout(() => this.socket.destroy(), LINGER_MS);
    this.socket.once("close", () => {
      clearTimeout(timer);
    });
  }
}

const tooManyRequests: Refusal = {
  status: 503,
  reason: "too_many_requests",
  message: "Too many requests were sent ahead on one connection. Wait for answers in between.",
  close: true,
};
