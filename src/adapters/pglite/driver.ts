import { DinpError, isDinpError, messageOf } from "@dinp/core";
import type { PGlite } from "@electric-sql/pglite";
import { fsyncSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { findBlankDatabase, unpackBlankDatabase } from "./blank-database.js";
import type { PgliteDurability } from "./durability.js";
import type { Serialize } from "./prepared-statements.js";

interface Driver {
  readonly main: typeof import("@electric-sql/pglite");
  readonly nodefs: typeof import("@electric-sql/pglite/nodefs");
}

type NodeFS = InstanceType<Driver["nodefs"]["NodeFS"]>;

/** A database that is open, and what writes the messages of its protocol. */
export interface OpenedPglite {
  readonly pglite: PGlite;
  readonly serialize: Serialize;
}

/** WASI's number for an input/output error. */
const EIO = 29;

/**
 * PostgreSQL fills its buffers with zeros when it starts: of its default of 128 MB, all is memory that the process then has, and a
 * third of the time until the database answers. The kernel keeps the files' pages besides.
 */
const SHARED_BUFFERS = "16MB";

/**
 * Opens the database in `folder/pg`, and makes it first when there is none: from the blank one that `findBlank` gives, else by PGlite.
 * It is made under another name and renamed when it is whole, so that a death in the middle leaves nothing that looks like a database.
 */
export async function openPglite(
  folder: string,
  durability: PgliteDurability,
  findBlank: () => Promise<string | null> = findBlankDatabase,
): Promise<OpenedPglite> {
  const driver = await importDriver();
  const home = join(folder, "pg");
  try {
    if (!(await exists(home)))
      await makeDatabase(driver, folder, { home, durability, blank: await findBlank() });
    const pglite = await startDatabase(driver, home, durability);
    return { pglite, serialize: driver.main.protocol.serialize };
  } catch (error) {
    if (isDinpError(error)) throw error;
    throw new DinpError("DINP_UNAVAILABLE", `The database in ${home} cannot be opened: ${messageOf(error)}`, {
      hint: "See that the folder is writable, has space left, and is whole.",
      cause: error,
    });
  }
}

async function importDriver(): Promise<Driver> {
  try {
    const [main, nodefs] = await Promise.all([
      import("@electric-sql/pglite"),
      import("@electric-sql/pglite/nodefs"),
    ]);
    return { main, nodefs };
  } catch (error) {
    throw new DinpError(
      "DINP_DRIVER_MISSING",
      `The package @electric-sql/pglite cannot be loaded: ${messageOf(error)}`,
      { hint: "Run `npm install @electric-sql/pglite`.", cause: error },
    );
  }
}

async function makeDatabase(
  driver: Driver,
  folder: string,
  {
    home,
    durability,
    blank,
  }: { readonly home: string; readonly durability: PgliteDurability; readonly blank: string | null },
): Promise<void> {
  const unfinished = join(folder, "pg.unfinished");
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  if (blank !== null) await unpackBlankDatabase(blank, unfinished);
  else await (await startDatabase(driver, unfinished, durability)).close();
  if (durability === "power-loss") await syncTree(unfinished);
  await rename(unfinished, home);
  if (durability === "power-loss") await syncPath(folder);
}

async function startDatabase(driver: Driver, home: string, durability: PgliteDurability): Promise<PGlite> {
  const { PGlite } = driver.main;
  const isSyncing = durability === "power-loss";
  return PGlite.create({
    fs: hookedFolder(driver, home, isSyncing),
    // As text: what is read is parsed and frozen in one place.
    parsers: { [driver.main.types.JSON]: (text: string): string => text },
    startParams: [
      // PGlite turns fsync off (`-F`). Of the ways to sync the log, only `fsync` reaches the file system below.
      ...PGlite.defaultStartParams.filter((parameter) => !isSyncing || parameter !== "-F"),
      ...["-c", "wal_sync_method=fsync"],
      ...["-c", `shared_buffers=${SHARED_BUFFERS}`],
    ],
  });
}

/** PGlite's folder file system, with what PGlite leaves out put into PostgreSQL's module before it starts. */
function hookedFolder({ nodefs }: Driver, home: string, isSyncing: boolean): NodeFS {
  class HookedNodeFS extends nodefs.NodeFS {
    override async init(...parameters: Parameters<NodeFS["init"]>): ReturnType<NodeFS["init"]> {
      const { emscriptenOpts } = await super.init(...parameters);
      const preRun = [...(emscriptenOpts.preRun ?? [])];
      preRun.push((module) => {
        closeEntriesOnAbort(module);
        if (isSyncing) addSync(propertyOf(module.NODEFS, "stream_ops"));
      });
      return { emscriptenOpts: { ...emscriptenOpts, preRun } };
    }
  }
  return new HookedNodeFS(home);
}

/** What PGlite calls of PostgreSQL while it works on a statement. */
const ENTRIES = [
  "stackRestore",
  "_PostgresMainLoopOnce",
  "_PostgresMainLongJmp",
  "_PostgresSendReadyForQueryIfNecessary",
  "_pgl_pq_flush",
];

/**
 * Makes every entry to PostgreSQL throw once it has panicked (the disk is full, a sync failed). PGlite would swallow
 * the panic and call it again, which never returns, with the whole event loop standing still.
 */
function closeEntriesOnAbort(module: object): void {
  const refuse = (): never => {
    throw new Error("PostgreSQL has given up; see that the disk has space left and no errors");
  };
  Object.assign(module, {
    onAbort: () => {
      Object.assign(module, Object.fromEntries(ENTRIES.map((name) => [name, refuse])));
    },
  });
}

/** Adds the `fsync` that PGlite's file system lacks: without one, Emscripten takes every sync for done. */
function addSync(operations: unknown): void {
  if (typeof operations !== "object" || operations === null) {
    throw new DinpError("DINP_UNAVAILABLE", "This version of PGlite gives no way to sync its files.", {
      hint: 'Install the version that this package names, or ask for the durability "process-crash".',
    });
  }
  Object.assign(operations, { fsync: syncStream });
}

/** Returns 0 or an error number: an exception would tear through PostgreSQL, which stops in order when a sync fails. */
function syncStream(stream: unknown): number {
  const descriptor = propertyOf(stream, "nfd");
  if (typeof descriptor !== "number") return EIO;
  try {
    fsyncSync(descriptor);
    return 0;
  } catch {
    return EIO;
  }
}

function propertyOf(of: unknown, name: string): unknown {
  return typeof of === "object" && of !== null ? Reflect.get(of, name) : undefined;
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else await syncPath(path);
  }
  await syncPath(folder);
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (propertyOf(error, "code") === "ENOENT") return false;
    throw error;
  }
}
