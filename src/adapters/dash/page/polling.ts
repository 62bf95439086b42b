import { isDinpError, messageOf, DinpError } from "@dinp/core";
import { useCallback, useContext, useEffect, useState } from "preact/hooks";
import { Session } from "./session.js";
import { seen } from "./visibility.js";

/** What was last read, and why it could not be read again. */
export interface Polled<T> {
  /** Null before the first answer. */
  readonly value: T | null;
  /** Of the newest try; null when it went well. */
  readonly error: DinpError | null;
  /** When `value` was read; milliseconds since the Unix epoch. */
  readonly readAt: number;
  /** Reads again now. */
  readonly refresh: () => void;
}

const EVERY_MS = 2_000;
const FAILED_EVERY_MS_MAX = 15_000;

/**
 * Reads again and again while the page is seen: every two seconds, after failures less and less often. `load` must be the same
 * function until what it reads is another thing.
 */
export function usePolled<T>(load: (signal: AbortSignal) => Promise<T>): Polled<T> {
  const { signedOut } = useContext(Session);
  const [state, setState] = useState<Omit<Polled<T>, "refresh">>({ value: null, error: null, readAt: 0 });
  const [turn, setTurn] = useState(0);
  const refresh = useCallback(() => {
    setTurn((last) => last + 1);
  }, []);

  useEffect(() => {
    setState({ value: null, error: null, readAt: 0 });
  }, [load]);

  useEffect(() => {
    const end = new AbortController();
    const read = async (): Promise<number> => {
      try {
        const value = await load(end.signal);
        if (!end.signal.aborted) setState({ value, error: null, readAt: Date.now() });
        return 0;
      } catch (thrown) {
        if (end.signal.aborted) return 0;
        const error = errorOf(thrown);
        if (error.code === "DINP_UNAUTHENTICATED") signedOut();
        setState((last) => ({ ...last, error }));
        return 1;
      }
    };
    void repeat(read, end.signal);
    return () => {
      end.abort();
    };
  }, [load, turn, signedOut]);

  return { ...state, refresh };
}

/** `read` says how many times it failed: 0 or 1. */
async function repeat(read: () => Promise<number>, signal: AbortSignal): Promise<void> {
  for (let failures = 0; !signal.aborted;) {
    await seen(signal);
    const failed = await read();
    failures = failed === 0 ? 0 : failures + 1;
    await pause(Math.min(EVERY_MS * 2 ** failures, FAILED_EVERY_MS_MAX), signal);
  }
}

/** Resolves after `ms`, or at once when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

/** Anything that was thrown, as an error that can be shown. */
export function errorOf(thrown: unknown): DinpError {
  return isDinpError(thrown) ? thrown : new DinpError("DINP_INTERNAL", messageOf(thrown));
}
