import { DinpError } from "@dinp/core";
import { rawSql, type PoolBounds, type SqlConnection, type SqlConnector } from "../sql/index.js";
import { createConnection, type Driver, type ServerPlace } from "./driver.js";
import { MysqlConnection } from "./mysql-connection.js";
import { mysqlDialect, type Flavor } from "./mysql-dialect.js";
import { failureOf } from "./mysql-failure.js";

export interface ConnectorOptions {
  readonly driver: Driver;
  readonly place: ServerPlace;
  readonly bounds: PoolBounds;
}

const oldest: Readonly<Record<Flavor, readonly [number, number, number]>> = {
  // The first with a collation that is bytewise and does not leave out spaces at the end.
  mysql: [8, 0, 17],
  mariadb: [10, 6, 0],
};

/** Which kind of server it is; `DINP_INVALID` when it is too old. */
export async function flavorOf(connection: SqlConnection): Promise<Flavor> {
  const [rows] = await connection.run([rawSql("SELECT VERSION() AS version")]);
  const version = String(rows?.[0]?.["version"]);
  const flavor: Flavor = /mariadb/i.test(version) ? "mariadb" : "mysql";
  const numbers = version.split(/[.-]/).slice(0, 3).map(Number);
  if (compare(numbers, oldest[flavor]) >= 0) return flavor;
  throw new DinpError("DINP_INVALID", `The server is ${flavor} ${version}.`, {
    hint: `Use MySQL ${oldest.mysql.join(".")} or newer, or MariaDB ${oldest.mariadb.join(".")} or newer.`,
  });
}

function compare(a: readonly number[], b: readonly number[]): number {
  const differing = b.findIndex((number, index) => number !== a[index]);
  return differing === -1 ? 0 : (a[differing] ?? 0) - (b[differing] ?? 0);
}

/** Connections to a server of this flavor. */
export function createConnector(options: ConnectorOptions, flavor: Flavor): SqlConnector {
  return {
    dialect: mysqlDialect(flavor),
    begin: {
      // A snapshot that later commits do not change needs this level, and the other one takes no locks between rows.
      read: [
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
      ],
      write: ["SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION"],
    },
    connect: (signal) => connectTo(options, signal),
  };
}

/** A connection whose transactions the server bounds. */
export async function connectTo(
  { driver, place, bounds }: ConnectorOptions,
  signal: AbortSignal,
): Promise<SqlConnection> {
  const connection = new MysqlConnection(createConnection(driver, place));
  const onAbort = (): void => {
    connection.destroy();
  };
  signal.addEventListener("abort", onAbort);
  try {
    await connection.ready();
    const [rows] = await connection.run([rawSql("SELECT @@max_allowed_packet AS bytes")]);
    connection.packetBytesMax = Number(rows?.[0]?.["bytes"]);
    await connection.execute([sessionSettings(bounds)]);
    return connection;
  } catch (error) {
    connection.destroy();
    throw failureOf(error);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** MySQL has no time-out of idle transactions, only one of idle connections. */
function sessionSettings({ lockMs, idleTransactionMs }: PoolBounds): string {
  const lock = seconds(lockMs);
  const settings = {
    sql_mode: "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    innodb_lock_wait_timeout: lock,
    lock_wait_timeout: lock,
    wait_timeout: seconds(idleTransactionMs),
  };
  return `SET ${Object.entries(settings)
    .map(([name, value]) => `SESSION ${name} = ${value}`)
    .join(", ")}`;
}

function seconds(ms: number): string {
  return String(Math.ceil(ms / 1_000));
}
