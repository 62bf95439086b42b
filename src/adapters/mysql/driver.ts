import { DinpError, messageOf } from "@dinp/core";
import type { Connection } from "mysql2";

export type Driver = typeof import("mysql2");

/** A server and a database of it. */
export interface ServerPlace {
  readonly url: string;
  /** Authorities (PEM) besides the well-known ones, "" for none; null: no TLS. */
  readonly ca: string | null;
}

export async function loadDriver(): Promise<Driver> {
  try {
    return (await import("mysql2")).default;
  } catch (error) {
    throw new DinpError("DINP_DRIVER_MISSING", `The package mysql2 cannot be loaded: ${messageOf(error)}`, {
      hint: "Run `npm install mysql2`.",
      cause: error,
    });
  }
}

/** The URL is in no message: it has a password in it. */
export function assertUrl(url: unknown): void {
  const parsed = typeof url === "string" && URL.canParse(url) ? new URL(url) : null;
  if (parsed !== null && /^(mysql|mariadb):$/.test(parsed.protocol) && parsed.pathname.length > 1) return;
  throw new TypeError("url must be mysql://USER:PASSWORD@HOST:PORT/DATABASE.");
}

/** A connection that is being made. Everything that it reads is text. */
export function createConnection(driver: Driver, { url, ca }: ServerPlace): Connection {
  const { hostname, port, username, password, pathname } = new URL(url);
  const connection = driver.createConnection({
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? 3_306 : Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)),
    charset: "utf8mb4_bin",
    // A server must not be able to ask for files of this machine.
    flags: ["-LOCAL_FILES"],
    // Values are literals that cannot end early (see `mysqlText`), so that a text has only the statements that were written.
    multipleStatements: true,
    typeCast: (field) => field.string(),
    ...(ca === null ? {} : { ssl: { ...(ca === "" ? {} : { ca }), verifyIdentity: true } }),
  });
  // A connection that is lost while nobody asks: whoever uses it next finds out.
  connection.on("error", () => undefined);
  return connection;
}
