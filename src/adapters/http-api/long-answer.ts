import type { HttpBindings } from "@hono/node-server";

/** A request that is answered late. */
export interface LongAnswer {
  /** Aborts when the client goes before it is answered. */
  readonly signal: AbortSignal;
  /** To be called when the answer is known. */
  readonly end: () => void;
}

/**
 * Keeps a client waiting: interim answers (102, RFC 2518 section 10.1, which every client of HTTP/1.1 must bear) show it, and
 * all between, that the answer is still to come.
 */
export function keepWaiting({ incoming, outgoing }: HttpBindings, everyMs: number): LongAnswer {
  const gone = new AbortController();
  const onClose = (): void => {
    if (!outgoing.writableFinished) gone.abort();
  };
  outgoing.once("close", onClose);
  const timer = setInterval(() => {
    const takesInterim = incoming.httpVersionMajor > 1 || incoming.httpVersionMinor > 0;
    if (takesInterim && !outgoing.headersSent && !outgoing.destroyed) outgoing.writeProcessing();
  }, everyMs);
  return {
    signal: gone.signal,
    end: () => {
      clearInterval(timer);
      outgoing.off("close", onClose);
    },
  };
}
