import { spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

const START_MS_MAX = 180_000;
const KILL_MS_MAX = 60_000;
const LOG_TAIL_BYTES = 2_000;

/** In the environment of every process that is started here, so that what it started in turn is found as well. */
export const MARK = "DINP_SERVICE_FOLDER";

/**
 * Who a process is: its number alone may be another's by now.
 *
 * @typedef {{ bootId: string, pid: number, startTicks: string }} Identity
 */

/** @param {number} pid @returns {{ state: string, startTicks: string } | null} */
function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", startTicks: fields[19] ?? "" };
  } catch {
    return null;
  }
}

function bootId() {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Who has this number now; null when nobody has. @param {number} pid @returns {Identity | null} */
export function identify(pid) {
  const stat = statOf(pid);
  return stat === null ? null : { bootId: bootId(), pid, startTicks: stat.startTicks };
}

/** Whether the process runs: not another with its number, nor one that has ended and was not collected yet. @param {Identity} identity */
export function isAlive({ bootId: boot, pid, startTicks }) {
  const stat = statOf(pid);
  return boot === bootId() && stat?.startTicks === startTicks && stat.state !== "Z" && stat.state !== "X";
}

/** @param {string} folder @param {string} name */
function recordPath(folder, name) {
  return join(folder, `${name}.process.json`);
}

/** The process that was started under this name, or null. @param {string} folder @param {string} name @returns {Identity | null} */
export function readProcess(folder, name) {
  const path = recordPath(folder, name);
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
}

/**
 * Starts a program that outlives this process, with its output in `FOLDER/NAME.log`, and waits until it answers.
 *
 * @param {string} folder
 * @param {string} name
 * @param {readonly [string, ...string[]]} command
 * @param {(signal: AbortSignal) => Promise<boolean>} answers Asks the program.
 * @returns {Promise<Identity>}
 */
export async function startProcess(folder, name, [command, ...args], answers) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const log = openSync(join(folder, `${name}.log`), "a", 0o600);
  const child = spawn(command, args, {
    detached: true,
    cwd: folder,
    stdio: ["ignore", log, log],
    env: { PATH: process.env["PATH"], HOME: folder, LANG: "C.UTF-8", [MARK]: folder },
  });
  closeSync(log);
  /** @type {Error | null} */
  let failure = null;
  child.on("error", (error) => (failure = error));
  const { pid } = child;
  const identity = pid === undefined ? null : identify(pid);
  if (identity === null) {
    await delay(0);
    throw new Error(`${command} could not be started: ${String(failure ?? "it ended at once")}`);
  }
  recordProcess(folder, name, identity);
  child.unref();
  await untilItAnswers(folder, name, identity, answers);
  return identity;
}

/** Notes a process under a name, so that {@link stopProcess} finds it. @param {string} folder @param {string} name @param {Identity} identity */
export function recordProcess(folder, name, identity) {
  const path = recordPath(folder, name);
  writeFileSync(`${path}.new`, JSON.stringify(identity), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/**
 * @param {string} folder
 * @param {string} name
 * @param {Identity} identity
 * @param {(signal: AbortSignal) => Promise<boolean>} answers
 */
async function untilItAnswers(folder, name, identity, answers) {
  const end = performance.now() + START_MS_MAX;
  for (;;) {
    if (await answers(AbortSignal.timeout(5_000)).catch(() => false)) return;
    if (!isAlive(identity)) throw new Error(`${name} ended before it answered.\n${logTail(folder, name)}`);
    if (performance.now() > end) {
      throw new Error(`${name} did not answer within ${START_MS_MAX / 1_000} s.\n${logTail(folder, name)}`);
    }
    await delay(30);
  }
}

/** The end of a program's log, for people. @param {string} folder @param {string} name */
export function logTail(folder, name) {
  const path = join(folder, `${name}.log`);
  const text = existsSync(path) ? readFileSync(path, "utf8").slice(-LOG_TAIL_BYTES).trim() : "";
  return text === "" ? `(its log ${path} is empty)` : `The end of ${path}:\n${text}`;
}

/**
 * Ends the process that was started under this name, if it still runs: `polite`, and SIGKILL after `graceMs`.
 *
 * @param {string} folder
 * @param {string} name
 * @param {number} graceMs
 * @param {NodeJS.Signals} [polite]
 */
export async function stopProcess(folder, name, graceMs, polite = "SIGTERM") {
  const identity = readProcess(folder, name);
  if (identity === null) return;
  signal(identity, polite);
  // A process that was stopped by a signal takes no other until it goes on.
  signal(identity, "SIGCONT");
  if (!(await hasEnded([identity], graceMs))) await killAll([identity]);
}

/**
 * Ends what programs of this folder started and left: processes that carry the folder's mark.
 *
 * @param {string} folder
 */
export async function killStrays(folder) {
  const mark = `${MARK}=${folder}`;
  await killAll(processes().filter(({ pid }) => environmentOf(pid).includes(mark)));
}

/** @param {readonly number[]} pids */
export async function killPids(pids) {
  await killAll(processes().filter(({ pid }) => pids.includes(pid)));
}

/** All others of the machine. @returns {Identity[]} */
export function processes() {
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    const identity = Number.isInteger(pid) && pid !== process.pid ? identify(pid) : null;
    return identity === null ? [] : [identity];
  });
}

/** @param {number} pid */
function environmentOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** @param {Identity} identity @param {NodeJS.Signals} name */
function signal(identity, name) {
  try {
    if (isAlive(identity)) process.kill(identity.pid, name);
  } catch (error) {
    // It ended by itself in between.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** @param {readonly Identity[]} identities */
async function killAll(identities) {
  for (const identity of identities) signal(identity, "SIGKILL");
  if (await hasEnded(identities, KILL_MS_MAX)) return;
  const left = identities.filter(isAlive).map(({ pid }) => pid);
  throw new Error(`Processes that do not end: ${left.join(", ")}.`);
}

/** @param {readonly Identity[]} identities @param {number} waitMs */
async function hasEnded(identities, waitMs) {
  const end = performance.now() + waitMs;
  while (identities.some(isAlive)) {
    if (performance.now() > end) return false;
    await delay(20);
  }
  return true;
}
