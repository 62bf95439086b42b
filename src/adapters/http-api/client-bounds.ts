import type { IncomingMessage, ServerResponse } from "node:http";

/** How slow the client of one request may be, in milliseconds. */
export interface ClientBounds {
  /** It is let go when it takes nothing of its answer, or sends nothing of its body, for this long. */
  readonly stallMs: number;
  /** How long it may go on sending a body after it was answered. */
  readonly restMs: number;
}

/** Ends the connection of a client that does not go on; one that waits for its answer may wait as long as that takes. */
export function boundClient(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { stallMs, restMs }: ClientBounds,
): void {
  const { socket } = incoming;
  outgoing.setTimeout(stallMs, () => {
    const takesNothing = socket.writableLength > 0;
    // What lies unread has come: then it is not the client that is waited for.
    const sendsNothing = !incoming.complete && incoming.readableLength === 0;
    if (takesNothing || sendsNothing) socket.destroy();
    else socket.setTimeout(stallMs);
  });
  outgoing.once("finish", () => {
    if (incoming.complete) return;
    const late = setTimeout(() => socket.destroy(), restMs);
    const stop = (): void => {
      clearTimeout(late);
    };
    incoming.once("end", stop);
    socket.once("close", stop);
  });
}
