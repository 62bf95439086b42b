import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import type { Prober } from "@dinp/core";
import { createHttpProber } from "@dinp/core/http";

/** A prober whose only turn is taken by a probe that nobody answers. */
export async function starvedHttpProber(): Promise<{
  readonly prober: Prober;
  readonly dispose: () => Promise<void>;
}> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = address !== null && typeof address !== "string" ? address.port : 0;
  const prober = createHttpProber({ maxConcurrent: 1 });
  const check = { type: "http", path: "/", statusMin: 200, statusMax: 399 } as const;
  const abort = new AbortController();
  const connected = once(server, "connection");
  const taken = prober
    .probe({ host: "127.0.0.1", port, check }, { timeoutMs: 600_000, signal: abort.signal })
    .catch(() => undefined);
  await connected;
  return {
    prober,
    dispose: async () => {
      abort.abort();
      await taken;
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
