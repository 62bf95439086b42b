import type { Kind, Revision, WatchEvent } from "@dinp/core";
import type { LogPage } from "./change-log.js";
import { ChangePoller } from "./change-poller.js";
import { RecentCommits } from "./recent-commits.js";
import { WakeUp } from "./wake-up.js";

export interface ChangeFeedOptions {
  readonly changeLogCommits: number;
  /** How often to ask for what other processes commit; null when this process alone writes. */
  readonly pollMs: number | null;
  /** False once the store is closed. */
  readonly isOpen: () => boolean;
  readonly readRevision: () => Promise<Revision>;
  readonly readChanges: (after: Revision, signal: AbortSignal) => Promise<LogPage["commits"]>;
}

/**
 * The watches of a store. Where this process alone writes, they are told from its memory and woken by its own commits;
 * else they read the log, and are woken by the commits of this process, by hints of the database, and by polling.
 */
export class ChangeFeed {
  readonly #options: ChangeFeedOptions;
  readonly #waits: {
    readonly version: number;
    notify(): void;
    changedSince(version: number, seen: Revision, signal: AbortSignal): Promise<void>;
  };
  /** Null where other processes write as well. */
  readonly #recent: RecentCommits | null;

  constructor(options: ChangeFeedOptions) {
    const { pollMs, readRevision, changeLogCommits } = options;
    this.#options = options;
    this.#waits = pollMs === null ? new SoleWaits() : new ChangePoller({ pollMs, readRevision });
    this.#recent = pollMs === null ? new RecentCommits(changeLogCommits) : null;
  }

  /** A commit of this process, with its changes as the log has them. */
  add(revision: Revision, text: string): void {
    this.#recent?.add(revision, text);
    this.#waits.notify();
  }

  /** Something may have changed; what, is not known. */
  wake(): void {
    this.#recent?.forget();
    this.#waits.notify();
  }

  /** Every commit after a revision, until the signal aborts or the store is closed. */
  async *watch(
    start: Revision,
    asked: ReadonlySet<Kind>,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent, void> {
    let after = start;
    while (!this.#isEnded(signal)) {
      const { version } = this.#waits;
      const page = this.#recent?.after(after) ?? (await this.#read(after, signal));
      if (page === null) return;
      if (page === "reset") {
        yield { type: "reset" };
        return;
      }
      for (const commit of page) {
        if (this.#isEnded(signal)) return;
        after = commit.revision;
        yield { ...commit, changes: commit.changes.filter((change) => asked.has(change.kind)) };
      }
      if (page.length === 0) await this.#waits.changedSince(version, after, signal);
    }
  }

  /** Null when the watch ended meanwhile. */
  async #read(after: Revision, signal: AbortSignal): Promise<LogPage["commits"] | null> {
    try {
      const commits = await this.#options.readChanges(after, signal);
      return this.#isEnded(signal) ? null : commits;
    } catch (error) {
      if (this.#isEnded(signal)) return null;
      throw error;
    }
  }

  #isEnded(signal: AbortSignal): boolean {
    return signal.aborted || !this.#options.isOpen();
  }
}

class SoleWaits {
  readonly #wakeUp = new WakeUp();

  get version(): number {
    return this.#wakeUp.version;
  }

  notify(): void {
    this.#wakeUp.notify();
  }

  changedSince(version: number, _seen: Revision, signal: AbortSignal): Promise<void> {
    return this.#wakeUp.changedSince(version, signal);
  }
}
