import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";

/** @typedef {"SIGINT" | "SIGTERM" | "SIGHUP"} Forwarded */

/** @type {readonly Forwarded[]} */
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP"];
const SAME_SIGNAL_WITHIN_MS = 500;

/**
 * Runs a program with this terminal as its own and resolves to its exit code (128 + the number of the signal that
 * ended it) once it has ended. Signals to this process end the program first.
 *
 * On a terminal, Ctrl-C reaches the whole process group, and npm sends it once more to its script: passing it on
 * would interrupt the program two or three times. So there SIGINT is left to the terminal, and elsewhere the same
 * signal is passed on once. (package.json begins its scripts with `exec`: a shell between npm and this process would
 * keep what npm passes on.)
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, quiet?: boolean }} [options] `quiet`: standard output goes to standard error.
 * @returns {Promise<number>}
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ["inherit", options.quiet === true ? 2 : "inherit", "inherit"],
      env: options.env ?? process.env,
    });
    const stopForwarding = forwardSignals((signal) => child.kill(signal));
    child.on("error", (error) => {
      stopForwarding();
      reject(error);
    });
    child.on("exit", (code, signal) => {
      stopForwarding();
      resolve(code ?? 128 + constants.signals[signal ?? "SIGKILL"]);
    });
  });
}

/** @param {(signal: Forwarded) => void} send */
function forwardSignals(send) {
  const onTerminal = process.stdin.isTTY;
  /** @type {Map<Forwarded, number>} */
  const sentAt = new Map();
  /** @param {NodeJS.Signals} received */
  const onSignal = (received) => {
    const signal = FORWARDED.find((one) => one === received);
    if (signal === undefined || (signal === "SIGINT" && onTerminal)) return;
    const now = performance.now();
    if (now - (sentAt.get(signal) ?? -Infinity) < SAME_SIGNAL_WITHIN_MS) return;
    sentAt.set(signal, now);
    send(signal);
  };
  for (const signal of FORWARDED) process.on(signal, onSignal);
  return () => {
    for (const signal of FORWARDED) process.off(signal, onSignal);
  };
}
