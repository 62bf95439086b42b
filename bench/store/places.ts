import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StateStore } from "@dinp/core";
import { createMemoryStateStore } from "@dinp/core/memory";
import { createMysqlStateStore } from "@dinp/core/mysql";
import { createPgliteStateStore } from "@dinp/core/pglite";
import { createPostgresStateStore } from "@dinp/core/postgres";
import { createSystemClock } from "@dinp/core/system";
import { openBare } from "./bare.js";

export const storeNames = ["memory", "pglite", "postgres", "mysql", "mariadb"] as const;

export type StoreName = (typeof storeNames)[number];

/** A server's variable, as `scripts/services` sets it: the URL of an administrator. */
export const variables: Readonly<Partial<Record<StoreName, string>>> = {
  postgres: "DINP_TEST_POSTGRES",
  mysql: "DINP_TEST_MYSQL",
  mariadb: "DINP_TEST_MARIADB",
};

/** Where a store is: a URL or a folder; `remove` removes it. */
export interface Place {
  readonly at: string;
  /** For what is compared with the store: in PGlite a folder of its own. */
  readonly bareAt: string;
  remove(): Promise<void>;
}

/** A new and empty place; null when its server is not there. */
export async function makePlace(name: StoreName): Promise<Place | null> {
  const variable = variables[name];
  if (variable === undefined) return makeFolder();
  const adminUrl = process.env[variable] ?? "";
  if (adminUrl === "") return null;
  const database = `dinp_bench_${randomBytes(6).toString("hex")}`;
  await runOnce(name, adminUrl, `CREATE DATABASE ${database}`);
  const url = Object.assign(new URL(adminUrl), { pathname: database }).href;
  const force = name === "postgres" ? " WITH (FORCE)" : "";
  return {
    at: url,
    bareAt: url,
    remove: () => runOnce(name, adminUrl, `DROP DATABASE ${database}${force}`),
  };
}

function makeFolder(): Place {
  const folder = mkdtempSync(join(tmpdir(), "dinp-bench-store-"));
  return {
    at: join(folder, "store"),
    bareAt: join(folder, "bare"),
    remove: () => {
      rmSync(folder, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
}

async function runOnce(name: StoreName, url: string, text: string): Promise<void> {
  const bare = await openBare(name, url, 1);
  try {
    await bare.run(0, text);
  } finally {
    await bare.close();
  }
}

/** An open store, with a connection for each client. */
export async function openStore(name: StoreName, at: string, clients: number): Promise<StateStore> {
  const store = createStore(name, at, clients);
  await store.open();
  return store;
}

function createStore(name: StoreName, at: string, connectionsMax: number): StateStore {
  switch (name) {
    case "memory":
      return createMemoryStateStore({ clock: createSystemClock() });
    case "pglite":
      // As PGlite by itself: it syncs nothing.
      return createPgliteStateStore({ dataDir: at, durability: "process-crash" });
    case "postgres":
      return createPostgresStateStore({ url: at, connectionsMax });
    case "mysql":
    case "mariadb":
      return createMysqlStateStore({ url: at, connectionsMax });
  }
}
