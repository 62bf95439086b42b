import { DinpError } from "@dinp/core";
import { SqlFailure } from "./failure.js";

export interface Bounds {
  readonly ms: number;
  readonly signal?: AbortSignal | undefined;
  /** Called when it is given up; `work` may end as it likes after that. */
  readonly onGivenUp: () => void;
}

/** Turns of the event loop after which all has been taken that had come: answers, and then the end of their connection. */
const LAST_LOOKS = 4;

/**
 * The end of `work`; a `SqlFailure` of the kind `timeout`, or `DINP_ABORTED`, when that does not come first. What came while
 * this process stood still has come in time.
 */
export function bounded<T>(work: Promise<T>, { ms, signal, onGivenUp }: Bounds): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      clearTimeout(timer);
      clearImmediate(lastLook);
      signal?.removeEventListener("abort", onAbort);
    };
    const giveUp = (error: Error): void => {
      leave();
      onGivenUp();
      reject(error);
    };
    const onAbort = (): void => {
      giveUp(abortedError(signal));
    };
    let lastLook: NodeJS.Immediate | undefined;
    // Timers come before what the sockets have.
    const look = (looksLeft: number): void => {
      lastLook = setImmediate(() => {
        if (looksLeft > 1) look(looksLeft - 1);
        else giveUp(new SqlFailure("timeout", `there was no answer within ${String(ms)} ms`));
      });
    };
    const timer = setTimeout(() => {
      look(LAST_LOOKS);
    }, ms);
    signal?.addEventListener("abort", onAbort);
    work.then(resolve, reject).finally(leave);
    if (signal?.aborted === true) onAbort();
  });
}

export function abortedError(signal: AbortSignal | undefined): DinpError {
  return new DinpError("DINP_ABORTED", "The call was aborted.", { cause: signal?.reason });
}
