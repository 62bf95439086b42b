import { messageOf, type Logger, type Random, type RouteTable } from "@dinp/core";
import { createFileRouteTable } from "@dinp/core/file";
import { createMemoryRouteTable } from "@dinp/core/memory";
import { createRedisRouteTable, type RedisPlace } from "@dinp/core/redis";

/** Where a router's routes come from. */
export interface TableSource {
  readonly table: RouteTable;
  /** For people: the file, or the server without its password. */
  readonly name: string;
  /** Must be called once, before the table is used. */
  open(): Promise<void>;
  /** An operator has looked at the source and says that it is right. */
  reread(): Promise<void>;
}

export interface TableSourceParts {
  readonly random: Random;
  readonly logger: Logger;
}

/** The routes of a file. */
export function fileSource(path: string, { random, logger }: TableSourceParts): TableSource {
  const table = createFileRouteTable({ path, versions: createMemoryRouteTable({ random }), logger });
  return {
    table,
    name: path,
    open: () => table.open(),
    reread: async () => {
      try {
        await table.reread();
        const problem = table.problem();
        if (problem === null) logger.info("the route file was read again, as SIGHUP asks");
        else
          logger.warn("the route file was read again and cannot be used; the last good table is served", {
            problem,
          });
      } catch (error) {
        logger.warn("the route file was not read again", { reason: messageOf(error) });
      }
    },
  };
}

/** The table of a platform, in Redis. */
export function redisSource(
  { redis, cluster, name }: { readonly redis: RedisPlace; readonly cluster: string; readonly name: string },
  { random, logger }: TableSourceParts,
): TableSource {
  return {
    table: createRedisRouteTable({ redis, cluster, random, logger }),
    name,
    open: () => Promise.resolve(),
    // The follower believes the next table by itself.
    reread: () => Promise.resolve(),
  };
}
