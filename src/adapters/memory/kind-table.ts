import {
  schemaOf,
  storedRecord,
  type Kind,
  type NamedValue,
  type RecordTypes,
  type Revision,
  type Stored,
} from "@dinp/core";
import { SortedKeys } from "./sorted-keys.js";

interface Row<K extends Kind> {
  readonly stored: Stored<K>;
  readonly unique: readonly NamedValue[];
  readonly indexes: readonly NamedValue[];
}

/** The records of one kind, with their unique values and indexes. */
export class KindTable<K extends Kind> {
  readonly #kind: K;
  readonly #rows = new Map<string, Row<K>>();
  readonly #keys = new SortedKeys();
  readonly #unique = new Map<string, Map<string, string>>();
  readonly #indexes = new Map<string, Map<string, SortedKeys>>();

  constructor(kind: K) {
    this.#kind = kind;
    const schema = schemaOf(kind);
    for (const name of Object.keys(schema.unique)) this.#unique.set(name, new Map());
    for (const name of Object.keys(schema.indexes)) this.#indexes.set(name, new Map());
  }

  get(key: string): Stored<K> | null {
    return this.#rows.get(key)?.stored ?? null;
  }

  revisionOf(key: string): Revision {
    return this.#rows.get(key)?.stored.revision ?? 0;
  }

  /** The key of the record that has this unique value, or null. */
  keyOfUnique(name: string, value: string): string | null {
    const values = this.#unique.get(name);
    if (values === undefined) throw new TypeError(`A ${this.#kind} has no unique value "${name}".`);
    return values.get(value) ?? null;
  }

  /** All records in key order. */
  all(): readonly Stored<K>[] {
    return this.#stored(this.#keys.all());
  }

  page(
    index: { readonly name: string; readonly value: string } | undefined,
    after: string | null,
    limit: number,
    reverse: boolean,
  ): readonly Stored<K>[] {
    const keys = index === undefined ? this.#keys : this.#indexed(index.name, index.value);
    return keys === undefined ? [] : this.#stored(keys.page(after, limit, reverse));
  }

  put(
    key: string,
    value: unknown,
    revision: Revision,
    unique: readonly NamedValue[],
    indexes: readonly NamedValue[],
  ): RecordTypes[K] {
    const stored = storedRecord(this.#kind, key, value, revision);
    this.delete(key);
    this.#rows.set(key, { stored, unique, indexes });
    this.#keys.add(key);
    for (const { name, value: text } of unique) this.#unique.get(name)?.set(text, key);
    for (const { name, value: text } of indexes) this.#addToIndex(name, text, key);
    return stored.value;
  }

  delete(key: string): void {
    const row = this.#rows.get(key);
    if (row === undefined) return;
    this.#rows.delete(key);
    this.#keys.delete(key);
    for (const { name, value } of row.unique) {
      // Another record may have taken the value over earlier in the same commit.
      const values = this.#unique.get(name);
      if (values?.get(value) === key) values.delete(value);
    }
    for (const { name, value } of row.indexes) this.#removeFromIndex(name, value, key);
  }

  #stored(keys: readonly string[]): readonly Stored<K>[] {
    const records: Stored<K>[] = [];
    for (const key of keys) {
      const row = this.#rows.get(key);
      if (row !== undefined) records.push(row.stored);
    }
    return records;
  }

  #indexed(name: string, value: string): SortedKeys | undefined {
    const values = this.#indexes.get(name);
    if (values === undefined) throw new TypeError(`A ${this.#kind} has no index "${name}".`);
    return values.get(value);
  }

  #addToIndex(name: string, value: string, key: string): void {
    const values = this.#indexes.get(name);
    if (values === undefined) return;
    const keys = values.get(value) ?? new SortedKeys();
    keys.add(key);
    values.set(value, keys);
  }

  #removeFromIndex(name: string, value: string, key: string): void {
    const values = this.#indexes.get(name);
    const keys = values?.get(value);
    if (values === undefined || keys === undefined) return;
    keys.delete(key);
    if (keys.size === 0) values.delete(value);
  }
}
