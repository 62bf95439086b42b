import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { mkdir, open, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import {
  DinpError,
  messageOf,
  routeKey,
  type Route,
  type RouteCache,
  type RouteChange,
  type RouteTableSnapshot,
  type RouteTableVersion,
} from "@dinp/core";

export interface FileRouteCacheOptions {
  /** Its folder is made (0700) at the first save. One process saves to it at a time. */
  readonly path: string;
}

const FORMAT = "dinp-routes/1";
/** Written between two looks at everything else that waits. */
const BATCH_ROUTES = 500;

const version = z.strictObject({ incarnation: z.string(), epoch: z.int(), revision: z.int() });

const head = z.strictObject({ format: z.literal(FORMAT), version });

const route = z.strictObject({
  host: z.string(),
  path: z.string(),
  appId: z.string(),
  appName: z.string(),
  endpoints: z.array(z.strictObject({ instanceId: z.string(), host: z.string(), port: z.int() })),
  unavailable: z.enum(["stopped", "no-ready-instance"]).nullable(),
});

const tail = z.strictObject({ routes: z.int(), sha256: z.string() });

const later = z.strictObject({
  version,
  changes: z.array(
    z.discriminatedUnion("op", [
      z.strictObject({ op: z.literal("put"), route }),
      z.strictObject({ op: z.literal("delete"), host: z.string(), path: z.string() }),
    ]),
  ),
});

/**
 * A {@link RouteCache} in one file: a line of JSON with the version, one for each route, and one with their number and
 * the SHA-256 of all before it; then a line for each later change, after the beginning of its own SHA-256. A table that is
 * damaged, cut or of another format is as none, and a change that is ends the changes. Saving and loading go in pieces, so
 * that requests are served meanwhile.
 */
export function createFileRouteCache({ path }: FileRouteCacheOptions): RouteCache {
  return {
    load: async (options) => {
      try {
        return await load(path, options?.signal);
      } catch (error) {
        if (codeOf(error) === "ENOENT") return null;
        throw unavailable("read", path, error);
      }
    },
    save: async (snapshot, options) => {
      try {
        await save(path, snapshot, options?.signal);
      } catch (error) {
        throw unavailable("written", path, error);
      }
    },
    append: async (version, changes) => {
      try {
        await append(path, version, changes);
      } catch (error) {
        throw unavailable("written", path, error);
      }
    },
    clear: async () => {
      try {
        await rm(path, { force: true });
        await syncFolder(dirname(path));
      } catch (error) {
        if (codeOf(error) !== "ENOENT") throw unavailable("removed", path, error);
      }
    },
  };
}

async function save(
  path: string,
  snapshot: RouteTableSnapshot,
  signal: AbortSignal | undefined,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.tmp`;
  const file = await open(temporary, "w", 0o600);
  try {
    await writeAll(file, snapshot, signal);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

async function writeAll(
  file: FileHandle,
  { version, routes }: RouteTableSnapshot,
  signal: AbortSignal | undefined,
): Promise<void> {
  const hash = createHash("sha256");
  const write = async (lines: readonly unknown[]): Promise<void> => {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    hash.update(text);
    await file.appendFile(text);
    signal?.throwIfAborted();
  };
  await write([{ format: FORMAT, version }]);
  for (let from = 0; from < routes.length; from += BATCH_ROUTES)
    await write(routes.slice(from, from + BATCH_ROUTES));
  await file.appendFile(`${JSON.stringify({ routes: routes.length, sha256: hash.digest("hex") })}\n`);
}

async function append(
  path: string,
  version: RouteTableVersion,
  changes: readonly RouteChange[],
): Promise<void> {
  const text = JSON.stringify({ version, changes });
  // Not made when it is not there: it would be changes without a table.
  const file = await open(path, constants.O_WRONLY | constants.O_APPEND);
  try {
    await file.appendFile(`${sumOf(text)} ${text}\n`);
    await file.datasync();
  } finally {
    await file.close();
  }
}

type Lines = AsyncGenerator<string, void, undefined>;

/** Null when it is not whole. */
async function load(path: string, signal: AbortSignal | undefined): Promise<RouteTableSnapshot | null> {
  const stream = createReadStream(path, { encoding: "utf8", ...(signal === undefined ? {} : { signal }) });
  // A failure to open is told by the reading below; before that it must not be one that nobody hears.
  stream.on("error", () => undefined);
  const lines = linesOf(stream);
  try {
    const table = await readTable(lines);
    return table === null ? null : await withLater(table, lines);
  } finally {
    await lines.return();
    stream.destroy();
  }
}

async function readTable(lines: Lines): Promise<RouteTableSnapshot | null> {
  const first = await lines.next();
  if (first.done === true) return null;
  const begun = head.safeParse(parse(first.value));
  if (!begun.success) return null;
  const hash = createHash("sha256").update(`${first.value}\n`);
  const routes: Route[] = [];
  for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
    const value = parse(next.value);
    const read = route.safeParse(value);
    if (!read.success) {
      const last = tail.safeParse(value);
      if (!last.success || last.data.routes !== routes.length) return null;
      return last.data.sha256 === hash.digest("hex") ? { version: begun.data.version, routes } : null;
    }
    hash.update(`${next.value}\n`);
    routes.push(read.data);
  }
  return null;
}

/** The table after the changes that were added to it. */
async function withLater(table: RouteTableSnapshot, lines: Lines): Promise<RouteTableSnapshot> {
  let { version } = table;
  const routes = new Map(table.routes.map((each) => [routeKey(each.host, each.path), each]));
  for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
    const [sum, text] = splitOnce(next.value);
    const change = sum === sumOf(text) ? later.safeParse(parse(text)) : null;
    if (change?.success !== true) break;
    ({ version } = change.data);
    for (const each of change.data.changes) {
      if (each.op === "put") routes.set(routeKey(each.route.host, each.route.path), each.route);
      else routes.delete(routeKey(each.host, each.path));
    }
  }
  return { version, routes: [...routes.values()] };
}

function splitOnce(line: string): readonly [string, string] {
  const at = line.indexOf(" ");
  return [line.slice(0, Math.max(0, at)), line.slice(at + 1)];
}

function sumOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

async function* linesOf(stream: ReturnType<typeof createReadStream>): Lines {
  const failed = new Promise<never>((_, reject) => stream.once("error", reject));
  failed.catch(() => undefined);
  await Promise.race([failed, new Promise((resolve) => stream.once("open", resolve))]);
  yield* createInterface({ input: stream, crlfDelay: Infinity });
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function unavailable(what: string, path: string, error: unknown): DinpError {
  return new DinpError("DINP_UNAVAILABLE", `The saved routes cannot be ${what}: ${messageOf(error)}`, {
    retryable: true,
    cause: error,
    details: { path },
    hint: `See that ${dirname(path)} is a folder that this process may write to, on a disk with room.`,
  });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
