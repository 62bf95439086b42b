import { DinpError, type StateStore } from "@dinp/core";
import {
  poolBounds,
  PooledDatabase,
  SqlStateStore,
  type OpeningContext,
  type PoolBounds,
  type PoolOptions,
  type SqlDatabase,
} from "../sql/index.js";
import { ChangeListener } from "./change-listener.js";
import { assertUrl, loadDriver, type ServerPlace } from "./driver.js";
import { createConnector } from "./postgres-connector.js";

export interface PostgresStateStoreOptions extends PoolOptions {
  /** `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; may lead to a pooler of transactions. */
  readonly url: string;
  /**
   * Where to listen for the commits of others: an address that leads to the server itself, which poolers of transactions
   * do not. Null: nowhere, watches only poll. Default: `url`.
   */
  readonly listenUrl?: string | null;
  /** Speaks TLS and checks the server's certificate, against these authorities (PEM) besides the well-known ones. */
  readonly tls?: { readonly ca?: string };
  /** Commits that a watch can go back; a little more may be kept. Default 10,000. */
  readonly changeLogCommits?: number;
  /** How often watches, all of a process together, ask for commits that no notification told of. Default 250. */
  readonly pollMs?: number;
}

/**
 * A `StateStore` in a PostgreSQL database (13 or newer), which any number of processes may use at the same time.
 * `open()` besides: `DINP_DRIVER_MISSING` when the package `pg` is not installed, `DINP_INVALID` when the server is too old or
 * a newer version wrote the store. `DINP_UNAVAILABLE` from any call also when the database is behind what this process has
 * seen (details `revision`, `seenRevision`), is another store, or is read-only. `TypeError` for options that cannot be.
 */
export function createPostgresStateStore(options: PostgresStateStoreOptions): StateStore {
  const { url, listenUrl = url, tls, changeLogCommits = 10_000, pollMs = 250 } = options;
  assertUrl(url, "url");
  if (listenUrl !== null) assertUrl(listenUrl, "listenUrl");
  const bounds = poolBounds(options);
  const ca = tls === undefined ? null : (tls.ca ?? "");
  const listening = listenUrl === null ? null : { url: listenUrl, ca };
  return new SqlStateStore({
    openDatabase: (context) => openDatabase({ url, ca }, listening, bounds, context),
    changeLogCommits,
    pollMs,
  });
}

async function openDatabase(
  place: ServerPlace,
  listening: ServerPlace | null,
  bounds: PoolBounds,
  { signal, onHint, verify }: OpeningContext,
): Promise<SqlDatabase> {
  const driver = await loadDriver();
  if (signal?.aborted === true) {
    throw new DinpError("DINP_ABORTED", "The opening was aborted.", { cause: signal.reason });
  }
  const listener =
    listening === null ? null : new ChangeListener({ driver, place: listening, bounds, onHint });
  listener?.start();
  return new PooledDatabase({
    connector: createConnector({ driver, place, bounds }),
    bounds,
    verify,
    onClosed: () => listener?.close() ?? Promise.resolve(),
  });
}
