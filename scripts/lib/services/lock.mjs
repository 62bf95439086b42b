import { createHash } from "node:crypto";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { StepFailed } from "../step.mjs";

const WAIT_MS_MAX = 300_000;

/**
 * Runs the task while no other process runs one for this folder. The lock is an abstract Unix socket: it goes with its
 * process, so nothing stale can be left.
 *
 * @template T
 * @param {string} folder
 * @param {() => Promise<T>} task
 * @returns {Promise<T>}
 */
export async function withLock(folder, task) {
  const name = `\0dinp-services-${createHash("sha256").update(folder).digest("hex").slice(0, 16)}`;
  const end = performance.now() + WAIT_MS_MAX;
  let lock = await tryLock(name);
  while (lock === null) {
    if (performance.now() > end) throw new StepFailed("Another services command did not end.", 1);
    await delay(100);
    lock = await tryLock(name);
  }
  try {
    return await task();
  } finally {
    lock.close();
  }
}

/** @param {string} name @returns {Promise<import("node:net").Server | null>} */
function tryLock(name) {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.on("error", (error) => {
      if ("code" in error && error.code === "EADDRINUSE") resolve(null);
      else reject(error);
    });
    server.listen(name, () => resolve(server));
  });
}
