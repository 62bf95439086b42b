/** What bounds the use of a database server. Each has a default; whole numbers, above zero. */
export interface PoolOptions {
  /** Connections at most, besides one that listens. Default 10. */
  readonly connectionsMax?: number;
  /** Making a connection. Default 5,000. */
  readonly connectMs?: number;
  /** Waiting for a free connection. Default 10,000. */
  readonly waitMs?: number;
  /** A connection that is not used for so long is ended. Default 30,000; MySQL: never more than half of `idleTransactionMs`. */
  readonly idleMs?: number;
  /** The answer to one statement. Default 10,000. */
  readonly statementMs?: number;
  /** Waiting for a row that another transaction holds, before the transaction is repeated (up to five times). Default 2,000. */
  readonly lockMs?: number;
  /**
   * A transaction whose process says nothing for so long (it was stopped, its network is cut) is ended by the database.
   * Others wait no longer than that for what it holds. Default 3,000; MySQL counts whole seconds.
   */
  readonly idleTransactionMs?: number;
}

export type PoolBounds = Readonly<Required<PoolOptions>>;

const defaults: PoolBounds = Object.freeze({
  connectionsMax: 10,
  connectMs: 5_000,
  waitMs: 10_000,
  idleMs: 30_000,
  statementMs: 10_000,
  lockMs: 2_000,
  idleTransactionMs: 3_000,
});

/** The options with their defaults; `TypeError` when one is no whole number above zero. */
export function poolBounds(options: PoolOptions): PoolBounds {
  const bounds = { ...defaults };
  for (const name of boundNames) {
    const value = options[name] ?? defaults[name];
    if (!Number.isSafeInteger(value) || value < 1 || value > 2_147_483_647) {
      throw new TypeError(`${name} must be a whole number above 0; got ${String(value)}.`);
    }
    bounds[name] = value;
  }
  return Object.freeze(bounds);
}

const boundNames = [
  "connectionsMax",
  "connectMs",
  "waitMs",
  "idleMs",
  "statementMs",
  "lockMs",
  "idleTransactionMs",
] as const satisfies readonly (keyof PoolBounds)[];
