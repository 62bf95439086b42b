import { DinpError, type StateStore } from "@dinp/core";
import {
  errorOf,
  poolBounds,
  PooledDatabase,
  SqlFailure,
  SqlStateStore,
  type OpeningContext,
  type PoolBounds,
  type PoolOptions,
  type SqlDatabase,
} from "../sql/index.js";
import { assertUrl, loadDriver, type ServerPlace } from "./driver.js";
import { connectTo, createConnector, flavorOf, type ConnectorOptions } from "./mysql-connector.js";
import type { Flavor } from "./mysql-dialect.js";

export interface MysqlStateStoreOptions extends PoolOptions {
  /** `mysql://USER:PASSWORD@HOST:PORT/DATABASE`, for MariaDB as well. */
  readonly url: string;
  /** Speaks TLS and checks the server's certificate, against these authorities (PEM) besides the well-known ones. */
  readonly tls?: { readonly ca?: string };
  /** Commits that a watch can go back; a little more may be kept. Default 10,000. */
  readonly changeLogCommits?: number;
  /** How often watches, all of a process together, ask for commits of other processes. Default 250. */
  readonly pollMs?: number;
}

/**
 * A `StateStore` in a database of MySQL (8.0.17 or newer) or MariaDB (10.6 or newer), which any number of processes may use at
 * the same time. `open()` besides: `DINP_DRIVER_MISSING` when the package `mysql2` is not installed, `DINP_INVALID` when the
 * server is too old or a newer version wrote the store. `commit` besides: `DINP_TOO_LARGE` for what is longer than the
 * server's `max_allowed_packet`. `DINP_UNAVAILABLE` from any call also when the database is behind what this process has seen
 * (details `revision`, `seenRevision`), is another store, or is read-only. `TypeError` for options that cannot be.
 */
export function createMysqlStateStore(options: MysqlStateStoreOptions): StateStore {
  const { url, tls, changeLogCommits = 10_000, pollMs = 250 } = options;
  assertUrl(url);
  const bounds = poolBounds(options);
  const place = { url, ca: tls === undefined ? null : (tls.ca ?? "") };
  return new SqlStateStore({
    openDatabase: (context) => openDatabase(place, bounds, context),
    changeLogCommits,
    pollMs,
  });
}

async function openDatabase(
  place: ServerPlace,
  given: PoolBounds,
  { signal, verify }: OpeningContext,
): Promise<SqlDatabase> {
  const driver = await loadDriver();
  // The server ends connections that are idle for as long as a transaction may be.
  const bounds = { ...given, idleMs: Math.min(given.idleMs, Math.ceil(given.idleTransactionMs / 2)) };
  const options = { driver, place, bounds };
  const flavor = await askFlavor(options, signal);
  return new PooledDatabase({
    connector: createConnector(options, flavor),
    bounds,
    verify,
    onClosed: () => Promise.resolve(),
  });
}

async function askFlavor(options: ConnectorOptions, signal: AbortSignal | undefined): Promise<Flavor> {
  const { connectMs, statementMs } = options.bounds;
  const late = AbortSignal.timeout(connectMs + statementMs);
  try {
    const ending = signal === undefined ? late : AbortSignal.any([signal, late]);
    const connection = await connectTo(options, ending);
    try {
      return await flavorOf(connection);
    } finally {
      connection.destroy();
    }
  } catch (error) {
    if (signal?.aborted === true)
      throw new DinpError("DINP_ABORTED", "The opening was aborted.", { cause: signal.reason });
    throw error instanceof SqlFailure ? errorOf(error) : error;
  }
}
