import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Worker } from "node:worker_threads";

/** A port of 127.0.0.1 that takes no further connection: one to it neither stands nor is refused (Linux). */
export interface DeafListener {
  readonly port: number;
  readonly close: () => Promise<void>;
}

const CROWD = 8;

// Listens and then never accepts: what comes waits in the kernel's queue until that is full.
const PROGRAM = `
const { parentPort } = require("node:worker_threads");
const server = require("node:net").createServer();
server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
});
`;

/** Makes a {@link DeafListener}, whose queue is full when it is given. */
export async function listenDeaf(): Promise<DeafListener> {
  const worker = new Worker(PROGRAM, { eval: true });
  const port = await new Promise<unknown>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  if (typeof port !== "number") throw new TypeError("The deaf listener told no port.");
  const crowd: Socket[] = [];
  for (let i = 0; i < CROWD; i += 1) {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", () => undefined);
    crowd.push(socket);
  }
  // The kernel queues them in their order: when the first stands, all have come, and those behind it wait for ever.
  const [first] = crowd;
  if (first !== undefined) await once(first, "connect");
  return {
    port,
    close: async () => {
      for (const socket of crowd) socket.destroy();
      await worker.terminate();
    },
  };
}
