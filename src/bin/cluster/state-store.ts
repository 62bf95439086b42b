import type { StateStore } from "@dinp/core";
import { createMysqlStateStore } from "@dinp/core/mysql";
import { createPostgresStateStore } from "@dinp/core/postgres";
import { ConfigError } from "../config/load-config.js";
import { readPem } from "../config/read-pem.js";
import type { ValuesOf } from "../config/setting.js";
import type { storeSection } from "../config/shared-sections.js";

export type StoreConfig = ValuesOf<{ readonly store: typeof storeSection }>["store"];

/** A leader that stands still within a transaction holds the row of its lease for so long at most. */
const IDLE_TRANSACTION_MS_MAX = 3_000;

/**
 * The database that the configuration names; not opened yet. With `leaseTtlMs` no transaction that stands still outlives half a
 * lease: nobody's take-over waits for it. {@link ConfigError}, `DINP_INVALID`.
 */
export async function stateStoreOf(config: StoreConfig, leaseTtlMs = Infinity): Promise<StateStore> {
  const { url, listenUrl, tls, caFile, connectionsMax, poll: pollMs } = config;
  if (caFile !== null && !tls)
    throw new ConfigError(["store.caFile is given, but store.tls is not: set it to true"]);
  const ca = await readPem("store.caFile", caFile);
  const common = {
    ...{ url, connectionsMax, pollMs },
    idleTransactionMs: Math.min(IDLE_TRANSACTION_MS_MAX, Math.floor(leaseTtlMs / 2)),
    ...(tls ? { tls: ca === null ? {} : { ca } } : {}),
  };
  if (isPostgres(url))
    return createPostgresStateStore({ ...common, ...(listenUrl === null ? {} : { listenUrl }) });
  if (listenUrl !== null)
    throw new ConfigError(["store.listenUrl is given, but store.url is not PostgreSQL's"]);
  return createMysqlStateStore(common);
}

/** The database for people, without its password. */
export function shownStore({ url }: Pick<StoreConfig, "url">): string {
  const { protocol, host, pathname } = new URL(url);
  const name = isPostgres(url) ? "PostgreSQL" : protocol === "mariadb:" ? "MariaDB" : "MySQL";
  return `${name} at ${host}${pathname}`;
}

function isPostgres(url: string): boolean {
  return /^postgres(?:ql)?:/.test(url);
}
