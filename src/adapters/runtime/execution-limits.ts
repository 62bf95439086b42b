import { DinpError } from "@dinp/core";
import { closedError } from "./errors.js";

/** Commands that may run on a node at the same time, one-offs included. */
const EXECUTIONS_MAX = 64;

/** Throws `DINP_BUSY` when so many commands run that no other may. */
export function assertRoom(executions: number): void {
  if (executions < EXECUTIONS_MAX) return;
  throw new DinpError(
    "DINP_BUSY",
    `${String(EXECUTIONS_MAX)} commands run on this node, which is as many as may.`,
    { retryable: true, hint: "Wait until one has ended." },
  );
}

/** Throws when a command is over before its own end: `DINP_CLOSED`, or `DINP_ABORTED` by its caller's signal. */
export function throwIfOver(signal: AbortSignal, closing: AbortSignal): void {
  if (closing.aborted) throw closedError();
  if (signal.aborted) throw new DinpError("DINP_ABORTED", "The command was ended, as its caller asked.");
}
