import { DinpError, isDinpError, type JsonValue } from "./errors.js";

/** A YAML or JSON map. */
export type JsonObject = Readonly<Record<string, JsonValue>>;

/** Fields to be filled one by one before they become readonly. */
export type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** The longest duration of a manifest. */
export const HOUR_MS = 3_600_000;

/** True for a map (not a list, not null). */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True for a list. */
export function isJsonList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** The error for a bad value: names the key, the value and what is allowed. */
export function badValue(key: string, value: JsonValue, allowed: string): DinpError {
  return new DinpError("DINP_INVALID", `"${key}" is ${show(value)}; it must be ${allowed}.`, {
    details: { field: key },
  });
}

/** What `read` gives; the name of what it reads stands before the message of an error, which says to mend it there. */
export function readIn<T>(source: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isDinpError(error)) throw error;
    const { code, hint = `Mend ${source} and try again.`, details } = error;
    throw new DinpError(code, `${source}: ${error.message}`, {
      details,
      cause: error,
      hint,
    });
  }
}

/** {@link readIn} for what is read later. */
export async function readLaterIn<T>(source: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    return readIn(source, () => {
      throw error;
    });
  }
}

/** The value of an own key of a map. */
export function own(value: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

/** A value as an error message shows it: short, printable, and never the inside of a list or map. */
export function show(value: JsonValue): string {
  if (value === null) return "empty";
  if (isJsonList(value)) return "a list";
  if (typeof value === "object") return "a map";
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** Whole numbers from `min` to `max`; digits as text count as well. */
export function readInteger(key: string, value: JsonValue, min: number, max: number): number {
  const number = readNumber(value);
  if (number !== null && Number.isSafeInteger(number) && number >= min && number <= max) return number;
  throw badValue(key, value, `a whole number from ${String(min)} to ${String(max)}`);
}

/** Text without NUL, not empty, at most `max` characters. */
export function readText(key: string, value: JsonValue, max: number, allowed: string): string {
  if (typeof value === "string" && value.trim() !== "" && value.length <= max && !value.includes("\0")) {
    return value;
  }
  throw badValue(key, value, allowed);
}

/** Megabytes: a number of them, or text such as `256M` or `1.5G` (binary units). */
export function readMemoryMb(key: string, value: JsonValue, min: number, max: number): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)\s*([mg])(?:i?b)?$/i.exec(typeof value === "string" ? value : "");
  const unit = match?.[2]?.toLowerCase() === "g" ? 1024 : 1;
  const megabytes = match === null ? readNumber(value) : Number(match[1]) * unit;
  if (megabytes !== null && Number.isSafeInteger(megabytes) && megabytes >= min && megabytes <= max) {
    return megabytes;
  }
  throw badValue(
    key,
    value,
    `a whole number of megabytes from ${String(min)} to ${String(max)}, such as 256, "256M" or "1G"`,
  );
}

/** Thousandths of a core, from a number of cores such as `0.5` or `2`. */
export function readCpuMillis(key: string, value: JsonValue, min: number, max: number): number {
  const cores = readNumber(value);
  const millis = cores === null ? 0 : Math.round(cores * 1000);
  if (millis >= min && millis <= max) return millis;
  throw badValue(
    key,
    value,
    `a number of processor cores from ${String(min / 1000)} to ${String(max / 1000)}, such as 0.5`,
  );
}

const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
]);

/** Milliseconds, from text such as `500ms`, `10s`, `2m` or `1h`. */
export function readDurationMs(key: string, value: JsonValue, min: number, max: number): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h)$/.exec(typeof value === "string" ? value : "");
  const duration = Math.round(Number(match?.[1] ?? NaN) * (DURATION_UNITS.get(match?.[2] ?? "") ?? NaN));
  if (duration >= min && duration <= max) return duration;
  throw badValue(
    key,
    value,
    `a duration with its unit from ${showDuration(min)} to ${showDuration(max)}, such as "10s", "500ms" or "2m"`,
  );
}

function showDuration(ms: number): string {
  if (ms === 0) return "0s";
  for (const [unit, size] of [...DURATION_UNITS].reverse()) {
    if (ms % size === 0) return `${String(ms / size)}${unit}`;
  }
  return `${String(ms)}ms`;
}

/** A finite number, or text that is nothing but an unsigned decimal one; else null. */
function readNumber(value: JsonValue): number | null {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  return typeof value === "string" && /^[0-9]{1,15}(?:\.[0-9]{1,15})?$/.test(value) ? Number(value) : null;
}

/** Throws `DINP_INVALID` for a key of `value` that is not among `known`, naming the nearest known one. */
export function assertKnownKeys(value: JsonObject, known: readonly string[], prefix: string): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    throw new DinpError(
      "DINP_INVALID",
      `there is no key ${JSON.stringify(prefix + key.slice(0, 80))}${near === null ? "" : `; did you mean "${prefix}${near}"?`}`,
      {
        hint: `Known keys${prefix === "" ? "" : ` of "${prefix.slice(0, -1)}"`}: ${known.join(", ")}.`,
        details: { field: prefix + key.slice(0, 80) },
      },
    );
  }
}

/** The word of `known` that is most like `word`, or null when none is. */
export function nearest(word: string, known: readonly string[]): string | null {
  const plain = word.slice(0, 40).toLowerCase();
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(plain.length / 3)) + 1;
  for (const candidate of known) {
    const begins = plain.length >= 3 && (candidate.startsWith(plain) || plain.startsWith(candidate));
    const distance = begins ? 1 : editDistance(plain, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i += 1) {
    const current = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const substituted = (previous[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      current.push(Math.min(substituted, (previous[j + 1] ?? 0) + 1, (current[j] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
