import type { Duplex } from "node:stream";
import { Watchdog } from "./watchdog.js";

/** One side of a tunnel: its connection and the bytes that were read from it already. */
export interface TunnelEnd {
  readonly stream: Duplex;
  readonly head: Uint8Array;
}

export interface TunnelLimits {
  /** Without a byte in either direction for this long the tunnel is cut. */
  readonly idleTimeoutMs: number;
  /** After one side has ended, the other has this long to end too. */
  readonly halfClosedMs: number;
}

/**
 * Passes bytes both ways, with back-pressure, until both sides have ended. Resolves when both connections are closed;
 * true when both ended in good order. Whatever happens to one side, the other does not outlive it.
 */
export async function tunnel(client: TunnelEnd, endpoint: TunnelEnd, limits: TunnelLimits): Promise<boolean> {
  const watchdog = new Watchdog();
  const destroyBoth = (): void => {
    client.stream.destroy();
    endpoint.stream.destroy();
  };
  const feed = (): void => {
    watchdog.feed();
  };
  const halfClosed = (): void => {
    watchdog.arm(limits.halfClosedMs, destroyBoth);
  };
  watchdog.arm(limits.idleTimeoutMs, destroyBoth);
  const closed = Promise.all([closeOf(client.stream), closeOf(endpoint.stream)]);
  for (const { stream } of [client, endpoint]) {
    stream.on("data", feed);
    stream.once("end", halfClosed);
    stream.once("close", destroyBoth);
    // The close that follows an error is what ends the tunnel.
    stream.on("error", destroyBoth);
  }
  if (client.head.length > 0) endpoint.stream.write(client.head);
  if (endpoint.head.length > 0) client.stream.write(endpoint.head);
  client.stream.pipe(endpoint.stream);
  endpoint.stream.pipe(client.stream);
  // Both may have been lost before the listeners were there.
  if (client.stream.destroyed || endpoint.stream.destroyed) destroyBoth();
  const inGoodOrder = await closed;
  watchdog.stop();
  return inGoodOrder.every(Boolean);
}

/** Resolves when the stream has closed, with whether both of its directions ended before. */
async function closeOf(stream: Duplex): Promise<boolean> {
  if (!stream.closed) {
    await new Promise<void>((resolve) => {
      stream.once("close", resolve);
    });
  }
  return stream.readableEnded && stream.writableFinished;
}
