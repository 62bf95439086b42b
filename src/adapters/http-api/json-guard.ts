import { DinpError } from "@dinp/core";

const DEPTH_MAX = 32;

function refused(why: string, hint: string): DinpError {
  return new DinpError("DINP_INVALID", `The request's body ${why}.`, { hint, details: { field: "body" } });
}

/**
 * The value of a JSON text. `DINP_INVALID` for text that is no JSON (RFC 8259), that nests deeper than 32 levels, or
 * that has a key `__proto__`, which no honest request has.
 */
export function parseJson(text: string): unknown {
  assertDepth(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refused("is not JSON", "Send one JSON object.");
  }
  assertKeys(value);
  return value;
}

/** Counts open brackets outside strings, before anything is parsed. */
function assertDepth(text: string): void {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index);
    if (inString) {
      if (character === "\\") index += 1;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === "[" || character === "{") {
      depth += 1;
      if (depth > DEPTH_MAX)
        throw refused(`nests deeper than ${String(DEPTH_MAX)} levels`, "Send a flatter object.");
    } else if (character === "]" || character === "}") depth -= 1;
  }
}

function assertKeys(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  if (Object.hasOwn(value, "__proto__")) {
    throw refused('has a key "__proto__"', "Send only the keys that /openapi.json names.");
  }
  for (const part of Object.values(value)) assertKeys(part);
}
