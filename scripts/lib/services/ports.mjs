import { createServer } from "node:net";

/** Below the range from which Linux takes the ports of outgoing connections, so that a server can have its port back. */
const FIRST = 12_000;
const COUNT = 8_000;

/**
 * What this process was given stays its own as long as it runs: between being given and being listened on, and while the server
 * that has it is dead, a port looks free.
 *
 * @type {Map<number, import("node:net").Server | null>}
 */
const given = new Map();

/** A port of 127.0.0.1 that nothing listens on, and that no other process was given. */
export async function freePort() {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (given.has(port)) continue;
    given.set(port, null);
    const reservation = await reserve(port);
    if (reservation !== null && (await isFree(port))) {
      given.set(port, reservation);
      return port;
    }
    given.delete(port);
    reservation?.close();
  }
  throw new Error(`No port is free between ${FIRST} and ${FIRST + COUNT}.`);
}

/**
 * Takes a port's name among all processes of this machine: an abstract socket, which goes with its process. Null: another has it.
 *
 * @param {number} port @returns {Promise<import("node:net").Server | null>}
 */
function reserve(port) {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.on("error", () => resolve(null));
    server.listen(`\0dinp-port-${port}`, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** @param {number} port @returns {Promise<boolean>} */
function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
