import { DinpError } from "./errors.js";
import { kindSchemas, type Kind, type KindSchema, type RecordTypes } from "./kinds.js";
import type { Revision } from "./records.js";
import type { ListOptions, RecordChange, Stored, Write } from "./stored-records.js";

/** One value of a record by which it can be found: the name of the unique key or index, and the value. */
export interface NamedValue {
  readonly name: string;
  readonly value: string;
}

/** What a store does for one {@link Write}, checked and copied: `text` is the record as JSON. */
export type PreparedWrite =
  | {
      readonly op: "put";
      readonly kind: Kind;
      readonly key: string;
      readonly text: string;
      readonly unique: readonly NamedValue[];
      readonly indexes: readonly NamedValue[];
      readonly ifRevision: Revision | "absent" | undefined;
    }
  | {
      readonly op: "delete" | "check";
      readonly kind: Kind;
      readonly key: string;
      readonly ifRevision: Revision | "absent" | undefined;
    };

/** How deep arrays and objects may lie in each other: databases parse JSON by recursion, on small stacks. */
const DEPTH_MAX = 64;

const PRINTABLE_ASCII = /^[\x20-\x7e]{1,255}$/;

/** True for what a store takes as a key: 1 to 255 characters of printable ASCII. */
export function isStoreKey(key: string): boolean {
  return PRINTABLE_ASCII.test(key);
}

/** Throws `TypeError` unless `key` is 1 to 255 characters of printable ASCII; `what` names it in the message. */
export function assertStoreKey(key: unknown, what: string): asserts key is string {
  if (typeof key === "string" && isStoreKey(key)) return;
  const shown = typeof key === "string" ? JSON.stringify(key.slice(0, 80)) : typeof key;
  throw new TypeError(`${what} must be 1 to 255 characters of printable ASCII; got ${shown}.`);
}

/**
 * Checks the writes of one commit as every `StateStore` must, and takes the copies that it stores.
 * `TypeError`: no writes, two writes to one key, an unknown kind, an illegal key, unique or index value,
 * a revision that is none, or a value that JSON does not carry or that is nested deeper than 64 levels.
 */
export function prepareWrites(writes: readonly Write[]): readonly PreparedWrite[] {
  if (writes.length === 0) throw new TypeError("A commit needs at least one write.");
  const seen = new Set<string>();
  return writes.map((write) => {
    const prepared = prepareWrite(write);
    const id = `${prepared.kind} ${prepared.key}`;
    if (seen.has(id)) throw new TypeError(`A commit may write ${prepared.kind} "${prepared.key}" only once.`);
    seen.add(id);
    return prepared;
  });
}

/** A record as it comes out of a store; `DINP_CORRUPT` when `value` is no record of this kind and key. */
export function storedRecord<K extends Kind>(
  kind: K,
  key: string,
  value: unknown,
  revision: Revision,
): Stored<K> {
  if (!isRecordOf(kind, key, value)) throw corruptRecord(kind, key);
  return Object.freeze({ kind, key, value, revision });
}

/** A change as `watch` yields it; `DINP_CORRUPT` when `value` is neither null nor a record of this kind and key. */
export function recordChange(kind: Kind, key: string, value: unknown): RecordChange {
  const change = { kind, key, value };
  if (!isRecordChange(change)) throw corruptRecord(kind, key);
  return Object.freeze(change);
}

/** Parses JSON into a value that cannot be changed, so that one copy can be handed to everyone. */
export function parseFrozen(text: string): unknown {
  const value: unknown = JSON.parse(text);
  freezeDeeply(value);
  return value;
}

/** Checks what a caller asks of `list` as every `StateStore` must (`TypeError`), and returns the number it may yield. */
export function listLimit(kind: Kind, options: ListOptions): number {
  const { index, after, limit = Infinity } = options;
  if (index !== undefined && !Object.hasOwn(schemaOf(kind).indexes, index.name)) {
    throw new TypeError(`A ${kind} has no index "${index.name}".`);
  }
  if (after !== undefined && after !== "") assertStoreKey(after, "after");
  if (limit !== Infinity && (!Number.isSafeInteger(limit) || limit < 0)) {
    throw new TypeError(`limit must be a whole number; got ${String(limit)}.`);
  }
  return limit;
}

/** The schema of a kind; `TypeError` when there is no such kind. */
export function schemaOf<K extends Kind>(kind: K): KindSchema<RecordTypes[K]> {
  if (!Object.hasOwn(kindSchemas, kind)) throw new TypeError(`There is no kind of record "${kind}".`);
  return kindSchemas[kind];
}

function prepareWrite(write: Write): PreparedWrite {
  if (write.ifRevision !== undefined && write.ifRevision !== "absent") {
    if (!Number.isSafeInteger(write.ifRevision) || write.ifRevision < 0) {
      throw new TypeError(`ifRevision must be a revision; got ${String(write.ifRevision)}.`);
    }
  }
  switch (write.op) {
    case "put":
      return preparePut(write.kind, write.value, write.ifRevision);
    case "delete":
    case "check":
      schemaOf(write.kind);
      assertStoreKey(write.key, `The key of a ${write.kind}`);
      return { op: write.op, kind: write.kind, key: write.key, ifRevision: write.ifRevision };
  }
}

function preparePut<K extends Kind>(
  kind: K,
  value: RecordTypes[K],
  ifRevision: Revision | "absent" | undefined,
): PreparedWrite {
  const schema = schemaOf(kind);
  const text = jsonText(value);
  const key = schema.key(value);
  assertStoreKey(key, `The key of a ${kind}`);
  return {
    op: "put",
    kind,
    key,
    text,
    unique: namedValues(kind, schema.unique, value),
    indexes: namedValues(kind, schema.indexes, value),
    ifRevision,
  };
}

function namedValues<T>(
  kind: Kind,
  readers: Readonly<Record<string, (record: T) => string | null>>,
  record: T,
): readonly NamedValue[] {
  const values: NamedValue[] = [];
  for (const [name, read] of Object.entries(readers)) {
    const value = read(record);
    if (value === null) continue;
    assertStoreKey(value, `The value "${name}" of a ${kind}`);
    values.push({ name, value });
  }
  return values;
}

function jsonText(value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(`A record must be an object; got ${value === null ? "null" : typeof value}.`);
  }
  // Before it is written out, because this is what refuses a value that contains itself.
  assertJson(value, "record", 0);
  return JSON.stringify(value);
}

function assertJson(value: unknown, path: string, depth: number): void {
  if (depth > DEPTH_MAX) {
    throw new TypeError(`${path.slice(0, 80)}… is nested deeper than ${String(DEPTH_MAX)} levels.`);
  }
  switch (typeof value) {
    case "string":
    case "boolean":
      return;
    case "number":
      if (Number.isFinite(value)) return;
      break;
    case "object":
      if (value === null) return;
      if (Array.isArray(value)) {
        value.forEach((item, index) => {
          assertJson(item, `${path}[${String(index)}]`, depth + 1);
        });
        return;
      }
      if (!isPlainObject(value)) break;
      for (const [name, item] of Object.entries(value)) {
        if (item !== undefined) assertJson(item, `${path}.${name}`, depth + 1);
      }
      return;
    default:
      break;
  }
  throw new TypeError(`${path} is not a JSON value (${typeof value}).`);
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function isRecordOf<K extends Kind>(kind: K, key: string, value: unknown): value is RecordTypes[K] {
  if (typeof value !== "object" || value === null) return false;
  return schemaOf(kind).key(value as RecordTypes[K]) === key;
}

function isRecordChange(change: {
  readonly kind: Kind;
  readonly key: string;
  readonly value: unknown;
}): change is RecordChange {
  return change.value === null || isRecordOf(change.kind, change.key, change.value);
}

function corruptRecord(kind: Kind, key: string): DinpError {
  return new DinpError("DINP_CORRUPT", `The stored ${kind} "${key}" is not a record of that kind and key.`, {
    hint: "Restore the store from a backup.",
    details: { kind, key },
  });
}

function freezeDeeply(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const item of Object.values(value)) freezeDeeply(item);
}
