import { DinpError } from "@dinp/core";
import { abortedError, bounded } from "./bounded.js";
import type { SqlConnection } from "./connection.js";

export interface ConnectionPoolOptions {
  readonly connect: (signal: AbortSignal) => Promise<SqlConnection>;
  readonly connectionsMax: number;
  readonly connectMs: number;
  /** How long a call waits for one of the connections to become free. */
  readonly waitMs: number;
  /** A connection that nobody has used for so long is ended. */
  readonly idleMs: number;
}

export interface PooledConnection {
  readonly connection: SqlConnection;
  /** Whether somebody has used it before: it may have been lost unseen. */
  readonly isUsed: boolean;
}

interface Idle {
  readonly connection: SqlConnection;
  readonly sinceMs: number;
}

/** A connection that is the caller's by now; without one, the right to make one. */
interface Claim {
  readonly connection: SqlConnection | null;
}

interface Waiter {
  readonly start: (claim: Claim) => void;
  readonly refuse: (error: DinpError) => void;
}

const WAITERS_MAX = 10_000;

/** A bounded number of connections, each used by one call at a time; who finds none waits in line. */
export class ConnectionPool {
  readonly #options: ConnectionPoolOptions;
  /** The one used last comes last, and is used next. */
  #idle: Idle[] = [];
  readonly #busy = new Set<SqlConnection>();
  #connecting = 0;
  readonly #waiters = new Set<Waiter>();
  readonly #closing = new AbortController();
  #isClosed = false;
  #reaper: NodeJS.Timeout | null = null;
  #onIdle: (() => void) | null = null;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
  }

  /**
   * A connection for the caller alone, to be given back by `release`. `DINP_ABORTED`, `DINP_CLOSED`, `DINP_UNAVAILABLE`
   * when none becomes free in time; or what `connect` rejects with.
   */
  async acquire(signal: AbortSignal | undefined): Promise<PooledConnection> {
    if (this.#closing.signal.aborted) throw closedError();
    if (signal?.aborted === true) throw abortedError(signal);
    // Nobody overtakes those that wait.
    const claim = this.#waiters.size === 0 ? this.#claim() : null;
    const { connection } = claim ?? (await this.#wait(signal));
    if (connection !== null) return { connection, isUsed: true };
    return { connection: await this.#connect(signal), isUsed: false };
  }

  /** Takes a connection back; one that is not usable any more is let go. */
  release(connection: SqlConnection): void {
    if (!this.#busy.delete(connection)) return;
    if (connection.isUsable && !this.#isClosed) {
      this.#idle.push({ connection, sinceMs: performance.now() });
      this.#reaper ??= setTimeout(() => {
        this.#reap();
      }, this.#options.idleMs).unref();
    } else connection.destroy();
    this.#next();
  }

  /** Lets go of all that nobody uses: the server that they led to may be gone. */
  discardIdle(): void {
    for (const { connection } of this.#idle) connection.destroy();
    this.#idle = [];
  }

  /** Takes no more calls, waits for those that it has taken, for `ms` at most, and ends all connections. */
  async close(ms: number): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    if (this.#isBusy()) {
      const drained = new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
      await bounded(drained, { ms, onGivenUp: () => undefined }).catch(() => undefined);
    }
    this.#isClosed = true;
    for (const waiter of [...this.#waiters]) waiter.refuse(closedError());
    for (const connection of this.#busy) connection.destroy();
    if (this.#reaper !== null) clearTimeout(this.#reaper);
    const idle = this.#idle.splice(0);
    await Promise.all(idle.map(({ connection }) => endBounded(connection, this.#options.connectMs)));
  }

  #isBusy(): boolean {
    return this.#busy.size + this.#connecting + this.#waiters.size > 0;
  }

  #claim(): Claim | null {
    this.#dropStale();
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      this.#busy.add(idle.connection);
      return { connection: idle.connection };
    }
    if (this.#busy.size + this.#connecting >= this.#options.connectionsMax) return null;
    this.#connecting += 1;
    return { connection: null };
  }

  #dropStale(): void {
    const oldest = performance.now() - this.#options.idleMs;
    const isFresh = ({ connection, sinceMs }: Idle): boolean => connection.isUsable && sinceMs > oldest;
    for (const idle of this.#idle) if (!isFresh(idle)) idle.connection.destroy();
    this.#idle = this.#idle.filter(isFresh);
  }

  /** Makes the connection that was claimed. */
  async #connect(signal: AbortSignal | undefined): Promise<SqlConnection> {
    const controller = new AbortController();
    try {
      const connecting = this.#options.connect(controller.signal);
      const connection = await bounded(connecting, {
        ms: this.#options.connectMs,
        signal,
        onGivenUp: () => {
          controller.abort();
          // One that comes all the same.
          connecting.then(
            (late) => {
              late.destroy();
            },
            () => undefined,
          );
        },
      });
      this.#busy.add(connection);
      return connection;
    } finally {
      this.#connecting -= 1;
      this.#next();
    }
  }

  async #wait(signal: AbortSignal | undefined): Promise<Claim> {
    if (this.#waiters.size >= WAITERS_MAX) {
      throw new DinpError("DINP_UNAVAILABLE", `${String(WAITERS_MAX)} calls already wait for the database.`, {
        retryable: true,
        hint: "Try again later.",
      });
    }
    const { waitMs, connectionsMax } = this.#options;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter);
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      const refuse = (error: DinpError): void => {
        leave();
        reject(error);
      };
      const onAbort = (): void => {
        refuse(abortedError(signal));
      };
      const timer = setTimeout(() => {
        const text = `None of ${String(connectionsMax)} connections to the database became free within ${String(waitMs)} ms.`;
        refuse(new DinpError("DINP_UNAVAILABLE", text, { retryable: true, hint: "Try again later." }));
      }, waitMs);
      const waiter: Waiter = {
        start: (claim) => {
          leave();
          resolve(claim);
        },
        refuse,
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", onAbort);
    });
  }

  #next(): void {
    for (const waiter of this.#waiters) {
      const claim = this.#claim();
      if (claim === null) return;
      waiter.start(claim);
    }
    if (!this.#isBusy()) this.#onIdle?.();
  }

  #reap(): void {
    this.#reaper = null;
    this.#dropStale();
    if (this.#idle.length === 0 || this.#closing.signal.aborted) return;
    this.#reaper = setTimeout(() => {
      this.#reap();
    }, this.#options.idleMs).unref();
  }
}

async function endBounded(connection: SqlConnection, ms: number): Promise<void> {
  await bounded(connection.end(), { ms, onGivenUp: () => undefined }).catch(() => undefined);
  connection.destroy();
}

function closedError(): DinpError {
  return new DinpError("DINP_CLOSED", "The store is closed.", { hint: "Open a new store." });
}
