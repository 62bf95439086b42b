import type { Kind, RecordTypes } from "./kinds.js";
import type { Revision } from "./records.js";

/** A record together with the revision of the commit that last wrote it. `Stored<Kind>` is a union over the kinds. */
export type Stored<K extends Kind = Kind> = {
  readonly [P in K]: {
    readonly kind: P;
    readonly key: string;
    readonly value: RecordTypes[P];
    readonly revision: Revision;
  };
}[K];

/**
 * One change of a commit. `ifRevision` makes it a compare-and-set: the record's present revision, or `"absent"`.
 * Without it the write is unconditional. `check` changes nothing and only guards.
 * A `delete` of an absent record without `ifRevision` does nothing.
 */
export type Write =
  | { readonly [K in Kind]: PutWrite<K> }[Kind]
  | { readonly op: "delete"; readonly kind: Kind; readonly key: string; readonly ifRevision?: Revision }
  | {
      readonly op: "check";
      readonly kind: Kind;
      readonly key: string;
      readonly ifRevision: Revision | "absent";
    };

export interface PutWrite<K extends Kind> {
  readonly op: "put";
  readonly kind: K;
  readonly value: RecordTypes[K];
  readonly ifRevision?: Revision | "absent";
}

/** Which records `list` gives. */
export interface ListOptions {
  /** Only records whose named index (see `kindSchemas`) has this value. */
  readonly index?: { readonly name: string; readonly value: string };
  /** Only records whose key comes after this one (before it when `reverse`). */
  readonly after?: string;
  /** At most this many. Default: all. */
  readonly limit?: number;
  /** Keys descending. Default false. */
  readonly reverse?: boolean;
  readonly signal?: AbortSignal;
}

/** A record that was written (`value`) or deleted (`value: null`) by the commit of a {@link WatchEvent}. */
export type RecordChange = {
  readonly [K in Kind]: {
    readonly kind: K;
    readonly key: string;
    readonly value: RecordTypes[K] | null;
  };
}[Kind];
