import { parseArgs } from "node:util";
import { messageOf } from "@dinp/core";
import type { HostPort } from "./request-router.js";

/** What the command line of `dinp-router` asks for. */
export type RouterCommand =
  | { readonly name: "help" | "version" }
  | { readonly name: "check"; readonly routes: string }
  | {
      readonly name: "serve";
      readonly routes: string;
      readonly listen: HostPort;
      readonly drainMs: number;
      readonly logLevel: LogLevel;
    };

const logLevels = ["debug", "info", "warn", "error", "silent"] as const;

type LogLevel = (typeof logLevels)[number];

/** A command line that cannot be understood. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const usage = `Usage: dinp-router --routes FILE [--listen HOST:PORT]
       dinp-router --routes FILE --check

Sends HTTP requests to the endpoints that a JSON file names, without a platform behind it. The file is watched:
a good edit is served at once, after a bad one the last good routes stay and the reason is logged.

  --routes FILE        the routes: {"routes": [{"host": "shop.example.com", "path": "/", "app": "shop",
                       "endpoints": ["10.0.0.5:8080", "10.0.0.6:8080"]}]}
  --listen HOST:PORT   where to listen; port 0 takes a free one (default 127.0.0.1:8080)
  --check              check the file and exit
  --drain-ms MS        how long requests in flight may take at the end (default 10000)
  --log-level LEVEL    ${logLevels.join(", ")} (default info); the log goes to standard error
  --version, --help

Signals: SIGHUP reads the file again, SIGTERM and SIGINT let requests in flight end and stop.
Exit codes: 0 stopped by a signal, or the file is good; 1 failed; 2 wrong usage.
`;

const DRAIN_MS_MAX = 3_600_000;

/** Reads the command line; {@link UsageError} says what is wrong with it. */
export function parseRouterArguments(args: readonly string[]): RouterCommand {
  const values = parsed(args);
  if (values.help === true) return { name: "help" };
  if (values.version === true) return { name: "version" };
  const { routes } = values;
  if (routes === undefined || routes === "") throw new UsageError("--routes FILE is missing.");
  if (values.check === true) return { name: "check", routes };
  return {
    name: "serve",
    routes,
    listen: parseListen(values.listen ?? "127.0.0.1:8080"),
    drainMs: parseDrain(values["drain-ms"] ?? "10000"),
    logLevel: parseLogLevel(values["log-level"] ?? "info"),
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        routes: { type: "string" },
        listen: { type: "string" },
        check: { type: "boolean" },
        "drain-ms": { type: "string" },
        "log-level": { type: "string" },
        version: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new UsageError(messageOf(error), { cause: error });
  }
}

/** `HOST:PORT`, `[IPv6]:PORT` or a port alone (then 127.0.0.1). */
function parseListen(text: string): HostPort {
  const match = /^(?:(\[[0-9a-f:.]+\]|[a-z0-9._-]+)?:)?(\d{1,5})$/i.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) {
    throw new UsageError(`--listen must be HOST:PORT, such as 127.0.0.1:8080, not ${quote(text)}.`);
  }
  return { host: (match[1] ?? "127.0.0.1").replace(/^\[|\]$/g, ""), port };
}

function parseDrain(text: string): number {
  const ms = /^\d{1,7}$/.test(text) ? Number(text) : Infinity;
  if (ms <= DRAIN_MS_MAX) return ms;
  throw new UsageError(`--drain-ms must be 0 to ${String(DRAIN_MS_MAX)} milliseconds, not ${quote(text)}.`);
}

function parseLogLevel(text: string): LogLevel {
  const level = logLevels.find((candidate) => candidate === text);
  if (level !== undefined) return level;
  throw new UsageError(`--log-level must be one of ${logLevels.join(", ")}, not ${quote(text)}.`);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text);
}
