import { createRequire } from "node:module";
import type * as Pino from "pino";
import type { LogFields, Logger } from "@dinp/core";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Takes whole lines, each with its line feed. */
export interface LogDestination {
  write(line: string): unknown;
}

export interface PinoLoggerOptions {
  /** The least severe level that is written. Default `info`. */
  readonly level?: LogLevel;
  /** Lines for people instead of JSON. Default false. */
  readonly pretty?: boolean;
  /** Default: standard error. */
  readonly destination?: LogDestination;
}

type Severity = Exclude<LogLevel, "silent">;

/**
 * A {@link Logger} on pino: one JSON object per line with `time` (ISO 8601), `level`, `msg` and the fields, or lines for
 * people with `pretty`. Control characters never reach the destination raw. Never throws: a line that cannot be written is lost.
 */
export function createPinoLogger(options: PinoLoggerOptions = {}): Logger {
  const { level = "info", pretty = false } = options;
  const { pino } = loadPino();
  const output = options.destination ?? standardError(pino);
  const destination: LogDestination = {
    write: (line) => {
      try {
        output.write(pretty ? prettyLine(line) : line);
      } catch {
        // The log is the last place to complain to.
      }
    },
  };
  const log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  const write = (severity: Severity, message: string, fields: LogFields = {}): void => {
    try {
      log[severity](fields, message);
    } catch {
      // As above.
    }
  };
  return {
    debug: (message, fields) => {
      write("debug", message, fields);
    },
    info: (message, fields) => {
      write("info", message, fields);
    },
    warn: (message, fields) => {
      write("warn", message, fields);
    },
    error: (message, fields) => {
      write("error", message, fields);
    },
  };
}

/** Loaded by the first logger: whoever takes a clock or a hash from this folder needs none. */
function loadPino(): typeof Pino {
  return createRequire(import.meta.url)("pino") as typeof Pino;
}

function standardError(pino: typeof Pino.pino): LogDestination {
  // Written at once, so that a crash loses nothing.
  const stream = pino.destination({ fd: 2, sync: true });
  stream.on("error", () => undefined);
  return { write: (line) => stream.write(line) };
}

function prettyLine(line: string): string {
  const record: unknown = JSON.parse(line);
  if (typeof record !== "object" || record === null) return line;
  const { time, level, msg, ...fields } = { time: "", level: "", msg: "", ...record };
  const words = [time.slice(11, 23), level.toUpperCase().padEnd(5), escapeControls(msg)];
  for (const [name, value] of Object.entries(fields))
    words.push(`${escapeControls(name)}=${escapeControls(plain(value))}`);
  return `${words.join(" ")}\n`;
}

function plain(value: unknown): string {
  if (typeof value === "string" && /^[^\s"=]+$/.test(value)) return value;
  return JSON.stringify(value);
}

function escapeControls(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
