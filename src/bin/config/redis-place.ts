import type { RedisPlace, RedisTls } from "@dinp/core/redis";
import { ConfigError } from "./load-config.js";
import { readPem } from "./read-pem.js";
import type { tableSection } from "./sections.js";
import type { ValuesOf } from "./setting.js";

type TableConfig = ValuesOf<{ readonly table: typeof tableSection }>["table"];

/** Whether the configuration names a Redis at all. */
export function namesRedis({ url, sentinels, nodes }: TableConfig): boolean {
  return url !== null || sentinels.length > 0 || nodes.length > 0;
}

/** The Redis that the configuration names. {@link ConfigError}, `DINP_INVALID` for a file of authorities that cannot be read. */
export async function redisPlaceOf(config: TableConfig): Promise<RedisPlace> {
  const { url, sentinels, nodes, primary, username, password } = config;
  const named = [url !== null, sentinels.length > 0, nodes.length > 0].filter(Boolean).length;
  if (named !== 1) throw new ConfigError(["give one of table.url, table.sentinels and table.nodes"]);
  const ca = await readPem("table.caFile", config.caFile);
  if (url !== null) return { url, ...(ca === null ? {} : { tls: { ca } }) };
  const tls: RedisTls | null = ca !== null ? { ca } : config.tls ? {} : null;
  const common = {
    ...(tls === null ? {} : { tls }),
    ...(password === null ? {} : { credentials: { password, ...(username === null ? {} : { username }) } }),
  };
  return sentinels.length > 0 ? { sentinels, primary, ...common } : { nodes, ...common };
}

/** The server for people, without its password. */
export function shownRedis({ url, sentinels, nodes }: TableConfig): string {
  if (url !== null) return `Redis at ${new URL(url).host}`;
  const [first] = sentinels.length > 0 ? sentinels : nodes;
  const what = sentinels.length > 0 ? "Redis behind the sentinel" : "the Redis Cluster at";
  return `${what} ${first?.host ?? ""}:${String(first?.port ?? "")}`;
}
