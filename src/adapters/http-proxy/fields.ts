import type { AddedFields } from "@dinp/core";

/** A field name as it is written, with its values in order. */
export interface Field {
  readonly name: string;
  readonly values: readonly string[];
}

/** Fields by lower-case name, in order of first appearance. */
export type Fields = ReadonlyMap<string, Field>;

/**
 * Fields that concern one connection only (RFC 9110 section 7.6.1), those that carry the framing (which is made anew), and
 * `Expect`, which is answered here.
 */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "expect",
  "http2-settings",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Fields that every recipient needs: a `Connection` field that lists them does not remove them. */
const KEPT_FIELDS: ReadonlySet<string> = new Set(["host", "content-length"]);

/**
 * The fields to send to the endpoint: the client's own, without hop-by-hop and framing fields and without those of the
 * same name as an added one; then the added ones.
 */
export function requestFields(raw: readonly string[], added: AddedFields): Fields {
  const addedFields = Object.entries(added);
  const dropped = new Set(addedFields.map(([name]) => name.toLowerCase()));
  dropped.add("content-length");
  const fields = endToEndFields(raw, dropped);
  for (const [name, value] of addedFields) fields.set(name.toLowerCase(), { name, values: [value] });
  return fields;
}

/**
 * The fields to send to the client: the endpoint's own, without hop-by-hop fields, without those in `own` (lower case),
 * which the router answers itself, and without `X-Dinp-*`, by which a client knows the router's own answers.
 */
export function responseFields(raw: readonly string[], own: ReadonlySet<string>): Fields {
  const fields = endToEndFields(raw, own);
  for (const name of fields.keys()) if (name.startsWith("x-dinp-")) fields.delete(name);
  return fields;
}

function endToEndFields(raw: readonly string[], dropped: ReadonlySet<string>): Map<string, Field> {
  const listed = connectionOptions(raw);
  const fields = new Map<string, { name: string; values: string[] }>();
  for (const [name, value] of pairs(raw)) {
    const key = name.toLowerCase();
    if (dropped.has(key) || isConnectionField(key) || (listed.has(key) && !KEPT_FIELDS.has(key))) continue;
    const present = fields.get(key);
    if (present === undefined) fields.set(key, { name, values: [value] });
    else present.values.push(value);
  }
  return fields;
}

function isConnectionField(key: string): boolean {
  return CONNECTION_FIELDS.has(key) || key === "proxy" || key.startsWith("proxy-");
}

/** The lower-case names that the message's `Connection` fields list. */
function connectionOptions(raw: readonly string[]): ReadonlySet<string> {
  const options = new Set<string>();
  for (const [name, value] of pairs(raw)) {
    if (name.toLowerCase() !== "connection") continue;
    for (const option of value.split(",")) options.add(option.trim().toLowerCase());
  }
  return options;
}

function* pairs(raw: readonly string[]): Generator<readonly [string, string]> {
  for (let i = 0; i + 1 < raw.length; i += 2) yield [raw[i] ?? "", raw[i + 1] ?? ""];
}
