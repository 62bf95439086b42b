import type { StateStore } from "@dinp/core";
import { createMysqlStateStore } from "@dinp/core/mysql";
import { createPostgresStateStore } from "@dinp/core/postgres";
import { ConfigError } from "../config/load-config.js";
import { readPem } from "../config/read-pem.js";
import type { ValuesOf } from "../config/setting.js";
import type { storeSection } from "../config/shared-sections.js";

export type StoreConfig = ValuesOf<{ readonly store: typeof storeSection }>["store"];

/** The database that the configuration names; not opened yet. {@link ConfigError}, `DINP_INVALID`. */
export async function stateStoreOf(config: StoreConfig): Promise<StateStore> {
  const { url, listenUrl, tls, caFile, connectionsMax, poll: pollMs } = config;
  if (caFile !== null && !tls)
    throw new ConfigError(["store.caFile is given, but store.tls is not: set it to true"]);
  const ca = await readPem("store.caFile", caFile);
  const common = {
    ...{ url, connectionsMax, pollMs },
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
