import { limits } from "@dinp/core";
import { usageError } from "./exit-codes.js";

/** `3` within bounds; throws a usage error that names `what`. */
export function parseInteger(text: string, what: string, min: number, max: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw usageError(`${what} must be a whole number from ${String(min)} to ${String(max)} (${quote(text)})`);
}

const memoryUnits: Readonly<Record<string, number>> = { "": 1, m: 1, g: 1024, t: 1024 * 1024 };

/** `256M`, `1G`, `1.5g`, `512MB`, `1GiB` or plain megabytes, as megabytes. */
export function parseMemoryMb(text: string): number {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)([mgt]?)(?:i?b)?$/i.exec(text);
  const value = Math.round(Number(match?.[1]) * (memoryUnits[(match?.[2] ?? "").toLowerCase()] ?? NaN));
  if (value >= limits.memoryMbMin && value <= limits.memoryMbMax) return value;
  throw usageError(
    `--memory must be from ${String(limits.memoryMbMin)}M to ${String(limits.memoryMbMax / 1024)}G (${quote(text)})`,
    "Write it like 256M or 1.5G",
  );
}

/** `0.5`, `2` (processors) or `250m` (thousandths), as thousandths of a processor. */
export function parseCpuMillis(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(m?)$/i.exec(text);
  const value = Math.round(Number(match?.[1]) * (match?.[2] === "" ? 1000 : 1));
  if (value >= limits.cpuMillisMin && value <= limits.cpuMillisMax) return value;
  throw usageError(
    `--cpu must be from 0.001 to ${String(limits.cpuMillisMax / 1000)} processors (${quote(text)})`,
    "Write it like 0.5, 2 or 250m",
  );
}

const durationUnits: Readonly<Record<string, number>> = {
  "": 1_000,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** `90` (seconds), `90s`, `5m`, `1h`, `500ms`, as milliseconds; at most a day. */
export function parseDurationMs(text: string, what: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)?$/i.exec(text);
  const value = Math.round(Number(match?.[1]) * (durationUnits[(match?.[2] ?? "").toLowerCase()] ?? NaN));
  if (value >= 1 && value <= 86_400_000) return value;
  throw usageError(
    `${what} must be a time of up to 24 hours (${quote(text)})`,
    "Write it like 90, 90s or 5m",
  );
}

const AGE_DAYS_MAX = 3_650;

/** A moment: a date (ISO 8601; without a zone, the local one), or how long ago it was, such as `90s`, `5m`, `2h` or `7d`. */
export function parseMoment(text: string, what: string): (now: number) => number {
  const date = /^\d{4}-\d\d-\d\d(?:[T ]|$)/.test(text) ? Date.parse(text.replace(" ", "T")) : Number.NaN;
  if (!Number.isNaN(date)) return () => date;
  const days = /^(\d{1,4})d$/i.exec(text)?.[1];
  if (days !== undefined && Number(days) <= AGE_DAYS_MAX) return (now) => now - Number(days) * 86_400_000;
  try {
    const ms = parseDurationMs(text, what);
    return (now) => now - ms;
  } catch {
    throw usageError(
      `${what} must be a date, or how long ago it was (${quote(text)})`,
      "Write it like 90s, 5m, 2h, 7d, 2026-01-31 or 2026-01-31T12:00",
    );
  }
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The name of an environment variable; throws a usage error for anything else. */
export function parseVariableName(text: string): string {
  if (VARIABLE.test(text) && text.length <= 255) return text;
  throw usageError(
    `${quote(text)} is not the name of an environment variable`,
    "Names are letters, digits and '_', and do not begin with a digit",
  );
}

/** `KEY=VALUE` pairs, the last of a name winning. The value is everything after the first `=`. */
export function parseVariables(pairs: readonly string[]): Record<string, string> {
  const variables = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at < 0) throw usageError(`Expected KEY=VALUE (${quote(pair)})`, `Write ${pair}=VALUE`);
    variables.set(parseVariableName(pair.slice(0, at)), pair.slice(at + 1));
  }
  return Object.fromEntries(variables);
}

/** `example.com` or `example.com/shop`: host and path. The API checks both; this only cuts. */
export function parseDomain(text: string): { readonly host: string; readonly path: string } {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw usageError(
      `A domain has no scheme (${quote(text)})`,
      `Write ${text.replace(/^[^:]*:\/\//, "").replace(/\/$/, "")}`,
    );
  }
  const slash = text.indexOf("/");
  const host = (slash < 0 ? text : text.slice(0, slash)).toLowerCase();
  if (host === "")
    throw usageError(`Expected HOST or HOST/path (${quote(text)})`, "Write it like shop.example.com");
  const path = slash < 0 ? "/" : text.slice(slash).replace(/(?<=.)\/+$/, "");
  return { host, path };
}

/** Where a server listens. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `HOST:PORT`, `[IPv6]:PORT` or a port alone (then 127.0.0.1). Port 0 asks for any free one. */
export function parseHostPort(text: string, what: string): HostPort {
  const match = /^(?:(\[[0-9a-f:.]+\]|[a-z0-9._-]+)?:)?(\d{1,5})$/i.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) {
    throw usageError(`${what} must be HOST:PORT (${quote(text)})`, "Write it like 127.0.0.1:7070");
  }
  return { host: (match[1] ?? "127.0.0.1").replace(/^\[|\]$/g, ""), port };
}

/** Ports from the first to the last one, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** `FIRST-LAST`. */
export function parsePortRange(text: string, what: string): PortRange {
  const [, first = 0, last = 0] = (/^(\d{1,5})-(\d{1,5})$/.exec(text) ?? []).map(Number);
  if (first >= 1 && first <= last && last <= 65_535) return { first, last };
  throw usageError(
    `${what} must be FIRST-LAST, ports from 1 to 65535 (${quote(text)})`,
    "Write it like 20000-29999",
  );
}

/** The URL of an API without a slash at its end; a bare `host:port` gets `http://`. */
export function parseApiUrl(text: string): string {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (URL.canParse(withScheme)) {
    const url = new URL(withScheme);
    const isPlain = url.username === "" && url.password === "" && url.search === "" && url.hash === "";
    if ((url.protocol === "http:" || url.protocol === "https:") && url.hostname !== "" && isPlain) {
      return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
    }
  }
  throw usageError(`Not the URL of an API (${quote(text)})`, "Write it like http://127.0.0.1:7070");
}

/**
 * The URL of a registry without a slash at its end. `http:` is taken for this machine's own addresses, elsewhere only with
 * `isPlainAllowed`.
 */
export function parseRegistryUrl(text: string, isPlainAllowed: boolean): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw usageError(
      `Not the URL of a registry (${quote(text)})`,
      "Write it like https://registry.example:5000",
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw usageError(
      "The URL of a registry has no user or password in it",
      "Put USER:PASSWORD into a file and give it with --registry-credentials FILE",
    );
  }
  if (url.search !== "" || url.hash !== "") {
    throw usageError(
      `The URL of a registry ends with its path (${quote(text)})`,
      `Write ${url.origin}${url.pathname}`,
    );
  }
  if (url.protocol === "http:" && !isPlainAllowed && !isLoopback(url.hostname)) {
    throw usageError(
      `Over http others could read and change what goes to the registry ${url.host}`,
      "Write https://, or add --registry-plain-http when the network between is trusted",
    );
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** The value in quotes, cut to a length that fits an error line. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text);
}
