import { isDinpError } from "../model/errors.js";
import { registrationWrites, ROUTERS_MAX } from "../platform/router-registrations.js";
import type { Lease } from "../ports/state-store.js";
import type { Clock, Logger, Random } from "../ports/system.js";
import { EventLog } from "./events.js";
import type { Acknowledged } from "./router-progress.js";
import type { Committer } from "./fenced.js";
import type { StateFollower } from "./state-follower.js";
import { repeatUntilAborted } from "./tasks.js";
import { Wakeup } from "./wakeup.js";

/** What a router says so soon after it was forgotten may be the last that it says. */
const FORGOTTEN_MS = 60_000;

export interface StrayRoutersOptions {
  readonly store: Committer;
  readonly follower: StateFollower;
  /** What each router last acknowledged; null before that is known. */
  readonly acknowledged: () => ReadonlyMap<string, Acknowledged> | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly lease: Lease;
}

/**
 * Registers routers that are at work without being registered: from then on drains and ports wait for them. What a router
 * said before this leader listened is no sign that it is at work, and neither is what it says within a minute after it was
 * forgotten.
 */
export class StrayRouters {
  readonly #options: StrayRoutersOptions;
  readonly #log: EventLog;
  readonly #news = new Wakeup();
  /** What each router said at the last look; null before the first. */
  #known: ReadonlyMap<string, string> | null = null;
  #registered: ReadonlySet<string> = new Set();
  readonly #forgottenAt = new Map<string, number>();

  constructor(options: StrayRoutersOptions) {
    this.#options = options;
    this.#log = new EventLog(options.random);
  }

  /** Some router may have said something. */
  noteSaid(): void {
    this.#news.wake();
  }

  /** Looks at what comes until the signal aborts; throws `DINP_FENCED` when another leads. */
  async run(signal: AbortSignal): Promise<void> {
    const { follower, clock, logger } = this.#options;
    const unsubscribe = follower.onChange((_, touched) => {
      if (touched?.routers !== false) this.#news.wake();
    });
    const isFatal = (error: unknown): boolean => isDinpError(error, "DINP_FENCED");
    const context = { clock, logger, signal, isFatal };
    try {
      await repeatUntilAborted("looking for unregistered routers", (inner) => this.#step(inner), context);
    } finally {
      unsubscribe();
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { follower, clock, acknowledged } = this.#options;
    const said = acknowledged();
    if (said !== null && follower.fresh) {
      const now = clock.monotonicMs();
      const registered = new Set([...follower.view.all("router")].map(({ id }) => id));
      this.#noteForgotten(registered, now);
      for (const id of this.#strays(said, registered, now)) await this.#register(id, signal);
      this.#known = new Map([...said].map(([id, each]) => [id, wordsOf(each)]));
    }
    await this.#news.wait(clock, null, signal);
  }

  #noteForgotten(registered: ReadonlySet<string>, now: number): void {
    for (const [id, at] of this.#forgottenAt) if (now - at >= FORGOTTEN_MS) this.#forgottenAt.delete(id);
    for (const id of this.#registered) if (!registered.has(id)) this.#forgottenAt.set(id, now);
    this.#registered = registered;
  }

  #strays(
    said: ReadonlyMap<string, Acknowledged>,
    registered: ReadonlySet<string>,
    now: number,
  ): readonly string[] {
    const known = this.#known;
    if (known === null) return [];
    const unknown = [...said].filter(([id, each]) => !registered.has(id) && known.get(id) !== wordsOf(each));
    const ids = unknown.map(([id]) => id);
    return ids
      .filter((id) => now - (this.#forgottenAt.get(id) ?? -Infinity) >= FORGOTTEN_MS)
      .slice(0, Math.max(0, ROUTERS_MAX - registered.size));
  }

  async #register(id: string, signal: AbortSignal): Promise<void> {
    const { store, lease, clock, logger } = this.#options;
    const now = clock.now();
    const message = `the router ${id} is at work without being registered; it is waited for from now on`;
    logger.warn("a router that is not registered acknowledges the route table; it is registered", { id });
    const event = this.#log.write(now, { type: "router.registered", message });
    const writes = [...registrationWrites({ id, address: "", registeredAt: now }), event];
    try {
      await store.commit(writes, { fencing: { lease: lease.name, epoch: lease.epoch }, signal });
    } catch (error) {
      // Somebody has registered it meanwhile.
      if (!isDinpError(error, "DINP_CONFLICT")) throw error;
    }
  }
}

function wordsOf({ version, busy }: Acknowledged): string {
  return JSON.stringify([version.incarnation, version.epoch, version.revision, ...busy]);
}
