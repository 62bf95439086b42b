import { setTimeout as delay } from "node:timers/promises";
import { DinpError, isDinpError, messageOf } from "@dinp/core";
import type { Engine } from "../engine.js";
import { EngineRefusal } from "../engine-refusal.js";
import { listAt, numberAt } from "../json.js";

const POLL_MS = 200;
/** Files are counted this much less often: their list is long. */
const POLLS_PER_COUNT = 5;
const MB = 1024 * 1024;

export interface DiskBounds {
  readonly bytesMax: number;
  readonly filesMax: number;
}

/** What a container has written so far, as the engine counts it. */
export async function writtenBytes(engine: Engine, id: string, signal: AbortSignal): Promise<number> {
  const query = { size: "1" };
  return numberAt(await engine.ask("GET", `/containers/${id}/json`, { query, signal }), "SizeRw");
}

/** `DINP_TOO_LARGE` when there is more than may be; resolves to the bytes. */
export async function assertWithin(
  engine: Engine,
  id: string,
  bounds: DiskBounds,
  { countsFiles, signal }: { readonly countsFiles: boolean; readonly signal: AbortSignal },
): Promise<number> {
  const bytes = await writtenBytes(engine, id, signal);
  if (bytes > bounds.bytesMax) throw tooMuchDisk(bounds.bytesMax);
  if (countsFiles && (await countChanges(engine, id, signal)) > bounds.filesMax) {
    throw new DinpError("DINP_TOO_LARGE", `It wrote more than ${String(bounds.filesMax)} files.`, {
      hint: "Make fewer, or push what it would make, made elsewhere.",
    });
  }
  return bytes;
}

export function tooMuchDisk(bytesMax: number): DinpError {
  const size = String(Math.max(0, Math.floor(bytesMax / MB)));
  return new DinpError("DINP_TOO_LARGE", `It needs more disk than the ${size} MiB that are left for it.`, {
    hint: "Make less, or push what it would make, made elsewhere.",
  });
}

/** Looks until the signal aborts; calls `stop` when there is too much, or nothing can be seen any more. */
export async function watchDisk(
  engine: Engine,
  id: string,
  bounds: DiskBounds,
  { signal, stop }: { readonly signal: AbortSignal; readonly stop: (why: unknown) => void },
): Promise<void> {
  for (let poll = 1; await isLater(signal); poll += 1) {
    try {
      await assertWithin(engine, id, bounds, { countsFiles: poll % POLLS_PER_COUNT === 0, signal });
    } catch (error) {
      // A look that meets a file as it goes is no reason to stop.
      if (error instanceof EngineRefusal && error.status >= 500) continue;
      stop(error);
      return;
    }
  }
}

/** False when it ended meanwhile. */
async function isLater(signal: AbortSignal): Promise<boolean> {
  await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
}

/** Beyond what the engine can list in one answer there is more than may be. */
async function countChanges(engine: Engine, id: string, signal: AbortSignal): Promise<number> {
  try {
    return listAt(await engine.ask("GET", `/containers/${id}/changes`, { signal })).length;
  } catch (error) {
    if (isDinpError(error) && /too long/.test(messageOf(error))) return Number.POSITIVE_INFINITY;
    throw error;
  }
}
