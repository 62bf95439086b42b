import { DinpError, messageOf, type Clock, type StateStore } from "@dinp/core";
import { mkdir, realpath } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { SqlStateStore, type SqlDatabase } from "../sql/index.js";
import { openPglite } from "./driver.js";
import type { PgliteDurability } from "./durability.js";
import { acquireFolderLock } from "./folder-lock.js";
import { PgliteDatabase } from "./pglite-database.js";

export interface PgliteStateStoreOptions {
  /** The folder that holds the database; made (for its owner only) when it is not there. */
  readonly dataDir: string;
  /**
   * What an acknowledged commit survives. `power-loss` (the default) syncs each commit to the disk before it is
   * acknowledged; `process-crash` leaves that to the operating system and is faster.
   */
  readonly durability?: PgliteDurability;
  /** Commits that a watch can go back; a little more may be kept. Default 10,000. */
  readonly changeLogCommits?: number;
  /** Times the wait of `close()`. Leases run on the database's clock, whatever this one says. */
  readonly clock?: Pick<Clock, "sleep">;
}

const systemSleep: Pick<Clock, "sleep"> = {
  sleep: (ms, { signal } = {}) => delay(ms, undefined, signal === undefined ? {} : { signal }),
};

/**
 * A `StateStore` in a folder on disk, by PGlite: PostgreSQL inside this process. It survives `kill -9` at any moment.
 * `open()` besides: `DINP_LOCKED` when a process (this one too) has the folder open, `DINP_DRIVER_MISSING` when the
 * package is not installed, `DINP_INVALID` when a newer version wrote it. Call `close()`, or the process does not end.
 */
export function createPgliteStateStore(options: PgliteStateStoreOptions): StateStore {
  return new SqlStateStore({
    openDatabase: ({ signal }) => openDatabase(options, signal),
    changeLogCommits: options.changeLogCommits ?? 10_000,
    pollMs: null,
  });
}

async function openDatabase(
  options: PgliteStateStoreOptions,
  signal: AbortSignal | undefined,
): Promise<SqlDatabase> {
  const folder = await makeFolder(options.dataDir);
  const lock = await acquireFolderLock(folder);
  const awake = stayAwake();
  const release = async (): Promise<void> => {
    awake.end();
    await lock.release();
  };
  try {
    const database = new PgliteDatabase({
      ...(await openPglite(folder, options.durability ?? "power-loss")),
      clock: options.clock ?? systemSleep,
      onClosed: release,
    });
    if (signal?.aborted !== true) return database;
    await database.close();
    throw new DinpError("DINP_ABORTED", "The opening was aborted.", { cause: signal.reason });
  } catch (error) {
    await release();
    throw error;
  }
}

const LONG_MS = 1_000_000_000;

/**
 * Keeps the event loop from running empty. Whenever it does, Node waits for all that V8 compiles in the background before it
 * goes on (its `NodePlatform::DrainTasks`): a third of a second while PostgreSQL is new.
 */
function stayAwake(): { readonly end: () => void } {
  const timer = setInterval(() => undefined, LONG_MS);
  return {
    end: () => {
      clearInterval(timer);
    },
  };
}

async function makeFolder(path: string): Promise<string> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    return await realpath(path);
  } catch (error) {
    throw new DinpError("DINP_UNAVAILABLE", `The data folder ${path} cannot be made: ${messageOf(error)}`, {
      hint: "Choose a folder that this user may write.",
      cause: error,
    });
  }
}
