import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";

/**
 * How a Redis is to be run: what its configuration says besides, such as `[["appendonly", "yes"]]`.
 *
 * @typedef {{ port: number, mode?: "server" | "sentinel", lines?: readonly (readonly [string, string])[] }} RedisSettings
 */

/**
 * Writes the configuration of a Debian `redis-server` that keeps all it has in `folder`, and gives the command that runs
 * it. Without lines of its own it keeps nothing across restarts. A configuration that is there already stays: Sentinel
 * and Redis keep what they learned in it.
 *
 * @param {string} folder
 * @param {RedisSettings} settings
 * @returns {[string, ...string[]]}
 */
export function prepareRedis(folder, { port, mode = "server", lines = [] }) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, "redis.conf");
  const all = [
    ["port", String(port)],
    ["bind", "127.0.0.1"],
    ["dir", `"${folder}"`],
    ["daemonize", "no"],
    ...(mode === "server" ? [["save", '""']] : []),
    ...lines,
  ];
  try {
    writeFileSync(path, all.map((line) => `${line.join(" ")}\n`).join(""), { mode: 0o600, flag: "wx" });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  return ["/usr/bin/redis-server", path, ...(mode === "sentinel" ? ["--sentinel"] : [])];
}

/** Where clients find it. @param {{ port: number }} settings */
export function redisUrl({ port }) {
  return `redis://127.0.0.1:${port}`;
}

/**
 * Whether a Redis answers; one that asks for a password does, one that still reads its data does not.
 *
 * @param {{ port: number }} settings
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>}
 */
export function redisAnswers({ port }, signal) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, signal });
    socket.setEncoding("utf8");
    socket.on("error", reject);
    socket.on("close", () => resolve(false));
    socket.on("data", (text) => {
      socket.destroy();
      resolve(String(text).startsWith("+PONG") || String(text).startsWith("-NOAUTH"));
    });
    socket.write("PING\r\n");
  });
}
