import { PGlite } from "@electric-sql/pglite";
import mysql from "mysql2/promise";
import pg from "pg";
import type { StoreName } from "./places.js";

/** The database that a store is in, without the store: the least that its work costs. */
export interface BareDatabase {
  run(client: number, text: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  close(): Promise<void>;
}

/** As many connections as clients. PGlite: in a folder of its own, which is made. */
export async function openBare(name: StoreName, place: string, clients: number): Promise<BareDatabase> {
  switch (name) {
    case "memory":
      return inMemory();
    case "pglite":
      return inPglite(place);
    case "postgres":
      return overPostgres(place, clients);
    case "mysql":
    case "mariadb":
      return overMysql(place, clients);
  }
}

/** Makes the rows that clients change: one each, and number -1 for all. */
export async function makeRows(bare: BareDatabase, clients: number): Promise<void> {
  await bare.run(0, "DROP TABLE IF EXISTS bare_rows");
  await bare.run(0, "CREATE TABLE bare_rows (id int NOT NULL PRIMARY KEY, value text NOT NULL)");
  const ids = [-1, ...Array.from({ length: clients }, (_, id) => id)];
  await bare.run(0, `INSERT INTO bare_rows VALUES ${ids.map((id) => `(${String(id)}, '')`).join(", ")}`);
}

/** A row's change and its commit, in one trip. The text must have neither quotes nor backslashes of SQL. */
export function updateOf(row: number, text: string): string {
  return `UPDATE bare_rows SET value = '${text}' WHERE id = ${String(row)}`;
}

/** All the store's records, as its tables have them. */
export const selectAll = "SELECT kind, record_key, revision, value FROM dinp_records";

/** The copy that no store can do without. */
function inMemory(): BareDatabase {
  const rows = new Map<string, unknown>();
  return {
    run: (client, text) => {
      rows.set(String(client), JSON.parse(JSON.stringify({ text })));
      return Promise.resolve([]);
    },
    close: () => Promise.resolve(),
  };
}

async function inPglite(folder: string): Promise<BareDatabase> {
  const database = await PGlite.create(folder);
  return {
    run: async (_client, text) => (await database.query<Record<string, unknown>>(text)).rows,
    close: () => database.close(),
  };
}

async function overPostgres(url: string, clients: number): Promise<BareDatabase> {
  const connections = Array.from({ length: clients }, () => new pg.Client({ connectionString: url }));
  await Promise.all(connections.map((connection) => connection.connect()));
  return {
    run: async (client, text) =>
      (await connections[client]?.query<Record<string, unknown>>(text))?.rows ?? [],
    close: async () => {
      await Promise.all(connections.map((connection) => connection.end()));
    },
  };
}

async function overMysql(url: string, clients: number): Promise<BareDatabase> {
  const connections = await Promise.all(
    Array.from({ length: clients }, () => mysql.createConnection({ uri: url })),
  );
  return {
    run: async (client, text) => {
      const [rows] = (await connections[client]?.query(text)) ?? [[]];
      return Array.isArray(rows) ? (rows as Readonly<Record<string, unknown>>[]) : [];
    },
    close: async () => {
      await Promise.all(connections.map((connection) => connection.end()));
    },
  };
}
