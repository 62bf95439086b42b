import type { Lease, RecordChange, StateStore } from "../ports/state-store.js";
import type { Clock, Logger } from "../ports/system.js";
import type { Committer } from "./fenced.js";
import { repeatUntilAborted, sleepQuietly } from "./tasks.js";

/** Where a server answers, for the others: URLs without a path. */
export interface ServerAddress {
  /** Its HTTP API. */
  readonly apiUrl: string;
  /** Where agents connect. */
  readonly linkUrl: string;
}

/** As it was written down by the one that leads. */
export interface LeaderAddress extends ServerAddress {
  /** Of the lease; null: an older version did not write it. */
  readonly holder: string | null;
}

const KEY = "leader";
const WATCH_PAUSE_MS = 100;

/** Writes down where the holder of the lease answers; refused with `DINP_FENCED` once the lease has moved on. */
export async function announceLeader(
  store: Committer,
  lease: Lease,
  address: ServerAddress,
  signal: AbortSignal,
): Promise<void> {
  const { apiUrl, linkUrl } = address;
  const { epoch, holder } = lease;
  const value = JSON.stringify({ epoch, holder, apiUrl, linkUrl });
  await store.commit([{ op: "put", kind: "setting", value: { key: KEY, value } }], {
    fencing: { lease: lease.name, epoch },
    signal,
  });
}

/** Knows where the leading server answers, as it last wrote it down: it may have ended since. */
export class LeaderWatch {
  readonly #options: { readonly store: StateStore; readonly clock: Clock; readonly logger: Logger };
  #address: LeaderAddress | null = null;

  constructor(options: { readonly store: StateStore; readonly clock: Clock; readonly logger: Logger }) {
    this.#options = options;
  }

  /** Null: not known. */
  get address(): LeaderAddress | null {
    return this.#address;
  }

  /** Follows until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    const step = async (inner: AbortSignal): Promise<void> => {
      await this.#follow(inner);
      await sleepQuietly(clock, WATCH_PAUSE_MS, inner);
    };
    await repeatUntilAborted("following who leads", step, { clock, logger, signal });
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { store } = this.#options;
    // What is written after this is seen by the watch.
    const { revision } = await store.snapshot({ kinds: ["router"], signal });
    const known = await store.get("setting", KEY, { signal });
    this.#address = known === null ? null : addressOf(known.value.value);
    for await (const event of store.watch({ after: revision, kinds: ["setting"], signal })) {
      if (event.type === "reset") return;
      for (const change of event.changes) this.#take(change);
    }
  }

  #take(change: RecordChange): void {
    if (change.kind !== "setting" || change.key !== KEY) return;
    this.#address = change.value === null ? null : addressOf(change.value.value);
  }
}

/** Null for what a newer version may have written. */
function addressOf(text: string): LeaderAddress | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { apiUrl, linkUrl, holder } = value as Partial<Record<string, unknown>>;
  if (typeof apiUrl !== "string" || typeof linkUrl !== "string") return null;
  return { apiUrl, linkUrl, holder: typeof holder === "string" ? holder : null };
}
