import type { JsonValue } from "./errors.js";
import {
  assertKnownKeys,
  badValue,
  HOUR_MS,
  isJsonObject,
  own,
  readDurationMs,
  readInteger,
  type Draft,
} from "./manifest-values.js";
import type { HealthCheck } from "./records.js";

const CHECK_KEYS = [
  "type",
  "path",
  "status",
  "interval",
  "timeout",
  "failures",
  "successes",
  "startup",
] as const;

/**
 * The check that a map stands for, without what it does not name. Keys as in `parseManifest`; `DINP_INVALID`
 * names the key, the value and what is allowed.
 */
export function readCheck(value: JsonValue): Partial<HealthCheck> {
  if (!isJsonObject(value)) throw badValue("check", value, "a map, such as {path: /health}");
  assertKnownKeys(value, CHECK_KEYS, "check.");
  const check: Draft<Partial<HealthCheck>> = {};
  for (const key of CHECK_KEYS) {
    const given = own(value, key);
    if (given !== undefined) readCheckKey(check, key, given);
  }
  return check;
}

function readCheckKey(
  check: Draft<Partial<HealthCheck>>,
  key: (typeof CHECK_KEYS)[number],
  value: JsonValue,
): void {
  const name = `check.${key}`;
  switch (key) {
    case "type":
      if (value !== "http" && value !== "tcp") throw badValue(name, value, '"http" or "tcp"');
      check.type = value;
      return;
    case "path":
      check.path = readPath(name, value);
      return;
    case "status":
      Object.assign(check, readStatusRange(name, value));
      return;
    case "interval":
      check.intervalMs = readDurationMs(name, value, 100, HOUR_MS);
      return;
    case "timeout":
      check.timeoutMs = readDurationMs(name, value, 10, 600_000);
      return;
    case "failures":
      check.failureThreshold = readInteger(name, value, 1, 100);
      return;
    case "successes":
      check.successThreshold = readInteger(name, value, 1, 100);
      return;
    case "startup":
      check.startupMs = readDurationMs(name, value, 1_000, HOUR_MS);
      return;
  }
}

function readPath(key: string, value: JsonValue): string {
  if (typeof value === "string" && /^\/[\x21-\x7e]{0,2047}$/.test(value) && !value.includes("#"))
    return value;
  throw badValue(key, value, 'a path that begins with "/", without spaces, such as /health');
}

function readStatusRange(key: string, value: JsonValue): Pick<HealthCheck, "statusMin" | "statusMax"> {
  const text = typeof value === "number" ? String(value) : value;
  const match = typeof text === "string" ? /^([1-5][0-9]{2})(?:\s*-\s*([1-5][0-9]{2}))?$/.exec(text) : null;
  const statusMin = Number(match?.[1] ?? NaN);
  const statusMax = Number(match?.[2] ?? match?.[1] ?? NaN);
  if (statusMin <= statusMax) return { statusMin, statusMax };
  throw badValue(key, value, 'a status code or a range of them from 100 to 599, such as "200-399"');
}
