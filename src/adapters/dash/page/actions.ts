import type { DinpError } from "@dinp/core";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import { errorOf } from "./polling.js";
import { Session } from "./session.js";

/** Something that a user sets off, one at a time. */
export interface Action {
  readonly isRunning: boolean;
  /** Why the last one failed. */
  readonly error: DinpError | null;
  /** Starts it, unless one runs. The signal aborts when `cancel` is called or what shows it goes. */
  readonly start: (work: (signal: AbortSignal) => Promise<void>) => void;
  readonly cancel: () => void;
}

export function useAction(): Action {
  const { signedOut } = useContext(Session);
  const [isRunning, setRunning] = useState(false);
  const [error, setError] = useState<DinpError | null>(null);
  const running = useRef<AbortController | null>(null);

  const start = useCallback(
    (work: (signal: AbortSignal) => Promise<void>) => {
      if (running.current !== null) return;
      const own = new AbortController();
      running.current = own;
      setRunning(true);
      setError(null);
      const ended = (thrown: unknown): void => {
        running.current = null;
        setRunning(false);
        if (thrown === null || own.signal.aborted) return;
        const failure = errorOf(thrown);
        if (failure.code === "DINP_UNAUTHENTICATED") signedOut();
        setError(failure);
      };
      work(own.signal).then(() => {
        ended(null);
      }, ended);
    },
    [signedOut],
  );
  const cancel = useCallback(() => running.current?.abort(), []);
  useEffect(() => cancel, [cancel]);
  return { isRunning, error, start, cancel };
}
