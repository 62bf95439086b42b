import type { JsonValue } from "../model/errors.js";
import type { Hasher } from "../ports/system.js";

/** A JSON text that is the same for equal values, whatever the order of their keys. */
export function canonicalJson(value: JsonValue): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** What is left of a value after a trip through JSON: without `undefined`. */
export function toJson(value: unknown): JsonValue {
  return JSON.parse(JSON.stringify(value)) as JsonValue;
}

/** Lower-case hex SHA-256 of a text's UTF-8 bytes. */
export function sha256Hex(hasher: Hasher, text: string): string {
  const hash = hasher.sha256();
  hash.update(new TextEncoder().encode(text));
  return hash.digestHex();
}
