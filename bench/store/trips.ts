import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { placementOf } from "./commits.js";
import { openStore, type StoreName } from "./places.js";

const COMMITS = 50;

/**
 * How often a commit waits for an answer of the database server, counted on the wire, whatever the machine is busy with: each time
 * that the client speaks after the server has spoken.
 */
export async function countTrips(
  name: StoreName,
  url: string,
): Promise<{ readonly plain: number; readonly fenced: number }> {
  const proxy = await CountingProxy.start(new URL(url));
  const store = await openStore(name, proxy.url, 1);
  try {
    const lease = await store.tryAcquireLease({ name: "trips", holder: "bench", ttlMs: 600_000 });
    if (lease === null) throw new Error("The lease is another's.");
    const fencing = { lease: lease.name, epoch: lease.epoch };
    await store.commit([placementOf(0, 0)]);
    const count = async (options: Parameters<typeof store.commit>[1]): Promise<number> => {
      const before = proxy.trips;
      for (let index = 0; index < COMMITS; index += 1) await store.commit([placementOf(0, index)], options);
      return (proxy.trips - before) / COMMITS;
    };
    return { plain: await count({}), fenced: await count({ fencing }) };
  } finally {
    await store.close();
    proxy.close();
  }
}

class CountingProxy {
  trips = 0;
  readonly #server: Server;
  readonly #target: URL;
  readonly #sockets = new Set<Socket>();

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((client) => {
      this.#accept(client);
    });
  }

  static async start(target: URL): Promise<CountingProxy> {
    const proxy = new CountingProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return Object.assign(new URL(this.#target), { host: `127.0.0.1:${String(port)}` }).href;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #accept(client: Socket): void {
    const server = connect(Number(this.#target.port), this.#target.hostname);
    let isAnswered = true;
    server.on("data", () => {
      isAnswered = true;
    });
    client.on("data", () => {
      if (isAnswered) this.trips += 1;
      isAnswered = false;
    });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", () => other.destroy());
      socket.pipe(other);
    }
  }
}
