import { DinpError } from "../model/errors.js";

/**
 * The reason of an end that is part of the course of things. Without a reason each abort makes an error with a stack,
 * which costs more than all else that a wait does.
 */
export const ended = Object.freeze(new DinpError("DINP_ABORTED", "What it belonged to has ended."));

const callbacks = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `callback` once when the signal aborts, at once when it has; returns the function that takes it back.
 * Any number of callers share one listener on the signal: runtimes warn of a leak from the eleventh on.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) {
    callback();
    return () => undefined;
  }
  const own = (): void => {
    callback();
  };
  const known = callbacks.get(signal);
  if (known === undefined) {
    const first = new Set([own]);
    callbacks.set(signal, first);
    signal.addEventListener(
      "abort",
      () => {
        callbacks.delete(signal);
        for (const each of first) each();
        first.clear();
      },
      { once: true },
    );
  } else known.add(own);
  return () => {
    callbacks.get(signal)?.delete(own);
  };
}

/** A controller that aborts with the signal, for one of many parts; `detach` ends the bond. */
export function childController(signal: AbortSignal): {
  readonly controller: AbortController;
  readonly detach: () => void;
} {
  const controller = new AbortController();
  const detach = onAbort(signal, () => {
    controller.abort(signal.reason);
  });
  return { controller, detach };
}

/** Asks anew: between two awaits the answer may change, which a narrowed property would hide. */
export function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
