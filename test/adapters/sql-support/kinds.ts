import { randomBytes } from "node:crypto";
import type { StateStore } from "@dinp/core";
import { createMysqlStateStore } from "@dinp/core/mysql";
import { createPostgresStateStore } from "@dinp/core/postgres";
import { createConnection } from "mysql2/promise";
import pg from "pg";
import type { DatabaseServer } from "../../../scripts/lib/services/database-service.mjs";
import { mariadbServer, mysqlServer } from "../../../scripts/lib/services/mysql-server.mjs";
import { postgresServer } from "../../../scripts/lib/services/postgres-server.mjs";

export interface StoreOptions {
  readonly changeLogCommits?: number;
  readonly connectionsMax?: number;
  readonly connectMs?: number;
  readonly waitMs?: number;
  readonly statementMs?: number;
  readonly lockMs?: number;
  readonly idleTransactionMs?: number;
  readonly pollMs?: number;
}

/** One kind of database server, as the tests of all kinds see it. */
export interface SqlKind {
  readonly server: DatabaseServer;
  createStore(url: string, options?: StoreOptions): StateStore;
  /** Runs statements, each by itself, as a user outside of any store. */
  run(url: string, ...statements: readonly string[]): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** A user who may do in a database what the documentation asks for, and no more; gives the URL. */
  makeUser(adminUrl: string, url: string): Promise<string>;
  /** Makes the server, or in PostgreSQL the database, take writes or none. */
  setReadOnly(adminUrl: string, url: string, isReadOnly: boolean): Promise<void>;
}

export const postgresKind: SqlKind = {
  server: postgresServer,
  createStore: (url, options) => createPostgresStateStore({ url, ...options }),
  async run(url, ...statements) {
    const client = new pg.Client({ connectionString: url });
    client.on("error", () => undefined);
    await client.connect();
    try {
      let rows: Readonly<Record<string, unknown>>[] = [];
      for (const statement of statements) ({ rows } = await client.query(statement));
      return rows;
    } finally {
      await client.end();
    }
  },
  async makeUser(adminUrl, url) {
    const database = new URL(url).pathname.slice(1);
    const user = `user_${database}`;
    await postgresKind.run(
      adminUrl,
      `CREATE ROLE ${user} LOGIN PASSWORD 'secret'`,
      `ALTER DATABASE ${database} OWNER TO ${user}`,
    );
    return Object.assign(new URL(url), { username: user, password: "secret" }).href;
  },
  async setReadOnly(adminUrl, url, isReadOnly) {
    const database = new URL(url).pathname.slice(1);
    await postgresKind.run(
      adminUrl,
      `ALTER DATABASE ${database} SET default_transaction_read_only = ${isReadOnly ? "on" : "off"}`,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`,
    );
  },
};

function mysqlKind(server: DatabaseServer): SqlKind {
  const kind: SqlKind = {
    server,
    createStore: (url, options) => createMysqlStateStore({ url, ...options }),
    async run(url, ...statements) {
      const connection = await createConnection({ uri: url, typeCast: (field) => field.string() });
      try {
        let rows: unknown = [];
        for (const statement of statements) [rows] = await connection.query(statement);
        return Array.isArray(rows) ? (rows as Readonly<Record<string, unknown>>[]) : [];
      } finally {
        await connection.end();
      }
    },
    async makeUser(adminUrl, url) {
      const database = new URL(url).pathname.slice(1);
      const user = `user_${database}`;
      await kind.run(
        adminUrl,
        `CREATE USER ${user} IDENTIFIED BY 'secret'`,
        `GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON ${database}.* TO ${user}`,
      );
      return Object.assign(new URL(url), { username: user, password: "secret" }).href;
    },
    async setReadOnly(adminUrl, _url, isReadOnly) {
      await kind.run(adminUrl, `SET GLOBAL read_only = ${isReadOnly ? "ON" : "OFF"}`);
    },
  };
  return kind;
}

export const sqlKinds: readonly SqlKind[] = [postgresKind, mysqlKind(mysqlServer), mysqlKind(mariadbServer)];

/** A database of this name beside the one of a URL. */
export function withDatabase(url: string, name: string): string {
  return Object.assign(new URL(url), { pathname: name }).href;
}

export function withPort(url: string, port: number): string {
  return Object.assign(new URL(url), { port: String(port) }).href;
}

/** A new, empty database on the server of this administrator's URL. */
export async function makeDatabaseOf(kind: SqlKind, adminUrl: string): Promise<string> {
  const name = `dinp_${randomBytes(6).toString("hex")}`;
  await kind.run(adminUrl, `CREATE DATABASE ${name}`);
  return withDatabase(adminUrl, name);
}

export async function dropDatabase(kind: SqlKind, url: string, adminUrl: string): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  await kind.run(adminUrl, `DROP DATABASE ${name}${kind.server.name === "postgres" ? " WITH (FORCE)" : ""}`);
}
