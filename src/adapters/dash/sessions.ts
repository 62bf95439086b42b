import { createHash } from "node:crypto";
import type { Clock, Random } from "@dinp/core";

/** Someone who has signed in. */
export interface Session {
  /** The secret with which the API is asked for them. */
  readonly token: string;
}

export interface SessionsOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** A session ends this long after it began. */
  readonly sessionMs: number;
  /** The oldest ends when there would be more. */
  readonly sessionsMax: number;
}

interface Kept extends Session {
  readonly endsAtMs: number;
}

/**
 * The sessions of one process, in its memory alone: a restart ends them all, and nothing of them is on disk. A browser has
 * the id, which is good for nothing anywhere else; here only its hash is kept.
 */
export class Sessions {
  readonly #options: SessionsOptions;
  /** By hash, the oldest first. */
  readonly #kept = new Map<string, Kept>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get size(): number {
    this.#forgetEnded();
    return this.#kept.size;
  }

  /** Begins one; gives its id. */
  begin(token: string): string {
    this.#forgetEnded();
    const { clock, random, sessionMs, sessionsMax } = this.#options;
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined && this.#kept.size >= sessionsMax) this.#kept.delete(oldest);
    const id = Buffer.from(random.bytes(32)).toString("base64url");
    this.#kept.set(hashOf(id), { token, endsAtMs: clock.monotonicMs() + sessionMs });
    return id;
  }

  /** The session with this id, unless it has ended. */
  find(id: string | null): Session | null {
    const kept = id === null ? undefined : this.#kept.get(hashOf(id));
    return kept !== undefined && kept.endsAtMs > this.#options.clock.monotonicMs() ? kept : null;
  }

  /** Idempotent. */
  end(id: string | null): void {
    if (id !== null) this.#kept.delete(hashOf(id));
  }

  #forgetEnded(): void {
    const now = this.#options.clock.monotonicMs();
    for (const [hash, { endsAtMs }] of this.#kept) {
      if (endsAtMs > now) return;
      this.#kept.delete(hash);
    }
  }
}

/** How long it takes to find an id says nothing about the ids that there are. */
function hashOf(id: string): string {
  return createHash("sha256").update(id).digest("base64");
}
