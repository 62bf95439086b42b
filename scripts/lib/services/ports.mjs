import { createServer } from "node:net";

/** Below the range from which Linux takes the ports of outgoing connections, so that a server can have its port back. */
const FIRST = 12_000;
const COUNT = 8_000;

/** Ports that were given out by this process: between being given and being listened on, they look free. */
const given = new Set();

/** A port of 127.0.0.1 that nothing listens on. */
export async function freePort() {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`No port is free between ${FIRST} and ${FIRST + COUNT}.`);
}

/** @param {number} port @returns {Promise<boolean>} */
function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
