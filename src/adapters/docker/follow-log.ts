import type { InstanceContainer } from "./containers.js";
import type { Engine } from "./engine.js";
import { isRefusal } from "./engine-refusal.js";
import type { Followers } from "./followers.js";
import { readLog } from "./instance-log.js";
import { flagAt } from "./json.js";

/** How long a reader is given for what a removed instance wrote last. */
const LAST_LINES_MS = 500;

/** Lines of an instance's log; with `follow` until it is removed, a signal aborts, or the runtime closes. */
export async function* followLog(
  { engine, followers }: { readonly engine: Engine; readonly followers: Followers },
  container: InstanceContainer,
  options: { readonly tail: number; readonly follow: boolean; readonly signal: AbortSignal | undefined },
  closing: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const { tail, follow, signal } = options;
  if (!follow) {
    const lines: string[] = [];
    for await (const text of readLog(engine, container, { tail, follow, signal })) {
      lines.push(text);
      if (lines.length > tail) lines.shift();
    }
    yield* lines;
    return;
  }
  const { removed, leave } = followers.join(container.id);
  const late = lateAfter(removed, LAST_LINES_MS);
  const ends = AbortSignal.any([closing, late.signal, ...(signal === undefined ? [] : [signal])]);
  try {
    yield* readLog(engine, container, { tail, follow, signal: ends });
    // The engine's answer ends with the container; an instance runs once, so nothing more comes.
    if (!ends.aborted && (await isThere(engine, container))) await aborted(AbortSignal.any([ends, removed]));
  } finally {
    late.cancel();
    leave();
  }
}

async function isThere(engine: Engine, { id }: InstanceContainer): Promise<boolean> {
  try {
    const found = await engine.ask("GET", `/containers/${id}/json`);
    // An engine that is restarted under a running container ends the answer as well.
    if (flagAt(found, "State", "Running")) throw engine.lost(new Error("the log ended before its instance"));
    return true;
  } catch (error) {
    if (isRefusal(error, 404)) return false;
    throw error;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener(
      "abort",
      () => {
        resolve();
      },
      { once: true },
    );
  });
}

/** A signal that aborts so long after another. */
function lateAfter(
  signal: AbortSignal,
  ms: number,
): { readonly signal: AbortSignal; readonly cancel: () => void } {
  const late = new AbortController();
  let timer: NodeJS.Timeout | null = null;
  const onAbort = (): void => {
    timer = setTimeout(() => {
      late.abort();
    }, ms);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const cancel = (): void => {
    signal.removeEventListener("abort", onAbort);
    if (timer !== null) clearTimeout(timer);
  };
  return { signal: late.signal, cancel };
}
