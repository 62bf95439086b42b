import { DinpError, messageOf } from "@dinp/core";
import type { Client, ClientConfig } from "pg";
import { postgresFailureKind, SqlFailure, sqlStateOf } from "../sql/index.js";

export type Driver = (typeof import("pg"))["default"];

/** A server and a database of it. */
export interface ServerPlace {
  readonly url: string;
  /** Authorities (PEM) besides the well-known ones, "" for none; null: no TLS, unless the URL asks for it. */
  readonly ca: string | null;
}

export async function loadDriver(): Promise<Driver> {
  try {
    return (await import("pg")).default;
  } catch (error) {
    throw new DinpError("DINP_DRIVER_MISSING", `The package pg cannot be loaded: ${messageOf(error)}`, {
      hint: "Run `npm install pg`.",
      cause: error,
    });
  }
}

/** The URL is in no message: it has a password in it. */
export function assertUrl(url: unknown, what: string): void {
  const parsed = typeof url === "string" && URL.canParse(url) ? new URL(url) : null;
  if (parsed !== null && /^postgres(ql)?:$/.test(parsed.protocol) && parsed.pathname.length > 1) return;
  throw new TypeError(`${what} must be postgres://USER:PASSWORD@HOST:PORT/DATABASE.`);
}

/** A client that is not connected yet. Everything that it reads is text. */
export function createClient(driver: Driver, { url, ca }: ServerPlace, more: ClientConfig): Client {
  const client = new driver.Client({
    connectionString: url,
    application_name: "dinp",
    keepAlive: true,
    types: { getTypeParser: () => asText },
    ...(ca === null ? {} : { ssl: ca === "" ? true : { ca } }),
    ...more,
  });
  // A connection that is lost while nobody asks: whoever uses it next finds out.
  client.on("error", () => undefined);
  return client;
}

function asText(text: string | Buffer): string {
  return text.toString();
}

/** What the driver or the server said. */
export function failureOf(error: unknown): SqlFailure {
  if (error instanceof SqlFailure) return error;
  const state = sqlStateOf(error);
  if (state === null) return new SqlFailure("lost", messageOf(error));
  const kind = postgresFailureKind(state);
  // A server that shuts down closes the connection.
  const isFatal = isObject(error) && (error["severity"] === "FATAL" || error["severity"] === "PANIC");
  return new SqlFailure(
    isFatal && kind === "unavailable" && state.startsWith("57P") ? "lost" : kind,
    textOf(kind, error),
    state,
    hintOf(state),
  );
}

/** What a unique value was is in the message of no error. */
function textOf(kind: string, error: unknown): string {
  return kind === "retry" ? "the transaction lost against another one" : messageOf(error);
}

function hintOf(state: string): string | undefined {
  if (state.startsWith("28"))
    return "See the user and the password in its URL, and the server's pg_hba.conf.";
  if (state === "3D000") return "Create the database that its URL names.";
  if (state === "42501") return "Grant the user what docs/databases.md lists.";
  if (state === "53300") return "Lower connectionsMax, or let the server take more connections.";
  return state.startsWith("53") ? "See that the server has disk and memory left." : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
