import type { LogLineView } from "@dinp/core";
import { useEffect, useState } from "preact/hooks";
import { client } from "./api.js";
import { errorOf, pause } from "./polling.js";
import { seen, whenHidden } from "./visibility.js";

/** A line with what tells it from all others. */
export interface ShownLine extends LogLineView {
  readonly key: number;
}

export interface FollowedLog {
  /** The newest so many, oldest first. */
  readonly lines: readonly ShownLine[];
  /** Why nothing comes now; null while the log is followed. */
  readonly problem: string | null;
}

const LINES_MAX = 500;
const TAIL = 200;
/** Lines that come together are shown together. */
const SHOW_EVERY_MS = 100;
const AGAIN_MS = 5_000;

let keys = 0;

/** Follows the log of an app; begins anew with its last lines after a pause, and when the stream broke off. */
export function useLog(app: string, isPaused: boolean): FollowedLog {
  const [log, setLog] = useState<FollowedLog>({ lines: [], problem: null });
  useEffect(() => {
    if (isPaused) return;
    const end = new AbortController();
    void followAgain(app, setLog, end.signal);
    return () => {
      end.abort();
    };
  }, [app, isPaused]);
  return log;
}

type Change = (update: (last: FollowedLog) => FollowedLog) => void;

async function followAgain(app: string, change: Change, signal: AbortSignal): Promise<void> {
  const isWanted = (): boolean => !signal.aborted;
  while (isWanted()) {
    await seen(signal);
    const problem = await followOnce(app, change, signal);
    if (isWanted()) change((last) => ({ ...last, problem }));
    if (problem !== null) await pause(AGAIN_MS, signal);
  }
}

/** Until the page is not seen any more (then null), or the log ends by itself: why it did. A browser has few connections. */
async function followOnce(app: string, change: Change, signal: AbortSignal): Promise<string | null> {
  const hidden = whenHidden(signal);
  try {
    await follow(app, change, hidden);
    return hidden.aborted ? null : "The log ended; it is asked for again.";
  } catch (thrown) {
    return `${errorOf(thrown).message} It is asked for again.`;
  }
}

async function follow(app: string, change: Change, signal: AbortSignal): Promise<void> {
  let lines: readonly ShownLine[] = [];
  let timer: ReturnType<typeof setTimeout> | null = null;
  const show = (): void => {
    timer = null;
    if (!signal.aborted) change(() => ({ lines, problem: null }));
  };
  for await (const line of client.logs(app, { tail: TAIL, follow: true }, { signal })) {
    keys += 1;
    lines = [...lines.slice(-LINES_MAX + 1), { ...line, key: keys }];
    timer ??= setTimeout(show, SHOW_EVERY_MS);
  }
}
