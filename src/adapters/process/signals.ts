import { readProcess } from "./proc.js";

/** Sends a signal to one process if it still is the one of that start time; true when it was sent. */
export function signalProcess(process_: { pid: number; startTime: string }, signal: NodeJS.Signals): boolean {
  const now = readProcess(process_.pid);
  if (now === null || !now.alive || now.startTime !== process_.startTime) return false;
  return sendSignal(process_.pid, signal);
}

/** Sends a signal to a process group; false when it has no member. */
export function signalGroup(pgid: number, signal: NodeJS.Signals | 0): boolean {
  return sendSignal(-pgid, signal);
}

function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  // 0, -1 and 1 address this very group, every process, or init.
  if (Math.abs(pid) < 2) return false;
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
