import type { Route } from "@dinp/core";
import { type TableHead, wordOf } from "./answer.js";
import { bucketOf, type TableKeys } from "./keys.js";
import type { RedisLink } from "./link.js";
import { fillScript, stageScript } from "./scripts.js";
import { formatRoute } from "./stored-routes.js";
import type { TableReader } from "./table-reader.js";
import { checkArgs, type Write } from "./write.js";

const ROUTES_PER_FILLING = 500;

interface Place {
  readonly link: RedisLink;
  readonly keys: TableKeys;
  readonly reader: TableReader;
}

/**
 * Puts a whole table into the generation after the write's base, a few hundred routes at a time. Null when it is there;
 * what the table is at when it may not be written so. An earlier staging that was given up is done away with.
 */
export async function stageTable(
  place: Place,
  write: Write,
  routes: ReadonlyMap<string, Route>,
  signal: AbortSignal | undefined,
): Promise<TableHead | null> {
  const { link, keys } = place;
  const buckets = keys.buckets(write.base.generation + 1);
  const begun = await link.run(stageScript, [keys.meta, ...buckets], checkArgs(write), signal);
  if (wordOf(begun).word !== "staged") return place.reader.headIn(begun);
  const all = [...routes];
  for (let from = 0; from < all.length; from += ROUTES_PER_FILLING) {
    const filled = await fill(place, write, all.slice(from, from + ROUTES_PER_FILLING), signal);
    if (wordOf(filled).word !== "staged") return place.reader.headIn(filled);
  }
  return null;
}

function fill(
  { link, keys }: Place,
  write: Write,
  routes: readonly (readonly [field: string, route: Route])[],
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const all = [keys.meta];
  const fields = routes.flatMap(([field, route]) => {
    const bucket = keys.bucket(write.base.generation + 1, bucketOf(field));
    const found = all.indexOf(bucket);
    return [String(found === -1 ? all.push(bucket) : found + 1), field, formatRoute(route)];
  });
  return link.run(fillScript, all, [write.stamp, ...fields], signal);
}
