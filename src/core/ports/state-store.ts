import type { Kind } from "../model/kinds.js";
import type { Revision } from "../model/records.js";
import type { ListOptions, RecordChange, Stored, Write } from "../model/stored-records.js";

export type { ListOptions, PutWrite, RecordChange, Stored, Write } from "../model/stored-records.js";

/** A consistent picture of the asked kinds at one revision. */
export interface Snapshot {
  readonly revision: Revision;
  /** The records of the kinds that were asked for, in key order within a kind. */
  readonly records: readonly Stored[];
}

/**
 * What `watch` yields. `commit`: the changes of one commit, in revision order. Events may come twice, none is lost.
 * `reset`: the asked revision is behind the end of the change log (or ahead of the store): take a new snapshot.
 * A `reset` is the last event of its watch.
 */
export type WatchEvent =
  | {
      readonly type: "commit";
      readonly revision: Revision;
      readonly changes: readonly RecordChange[];
    }
  | { readonly type: "reset" };

/** A held lease. `epoch` grows with every change of holder and is the fencing token. */
export interface Lease {
  readonly name: string;
  readonly holder: string;
  readonly epoch: number;
  readonly ttlMs: number;
}

export interface CommitOptions {
  /** The commit is refused with `DINP_FENCED` unless this lease still has this epoch, checked in the same transaction. */
  readonly fencing?: { readonly lease: string; readonly epoch: number };
  readonly signal?: AbortSignal;
}

/**
 * Desired and observed state, as typed records by kind, with strictly ordered revisions (each commit that changes
 * something takes the next one, without holes).
 *
 * Every method rejects with `DINP_UNAVAILABLE` (retryable) when the backend does not answer, with `DINP_CLOSED` after
 * `close()`, with `DINP_ABORTED` when the signal aborts. A read is never shortened: it is whole or it rejects.
 * Values go in and come out as copies: changing one changes nothing in the store.
 */
export interface StateStore {
  /** Opens the backend and brings its schema up to date. Must be called once, before all else. */
  open(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** All records of the given kinds (default: every kind) at one revision. `DINP_CORRUPT` when counts do not agree. */
  snapshot(options?: { readonly kinds?: readonly Kind[]; readonly signal?: AbortSignal }): Promise<Snapshot>;
  /** The record, or null when there is none. */
  get<K extends Kind>(
    kind: K,
    key: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<Stored<K> | null>;
  /** The record whose unique value (see `kindSchemas`) it is, or null. */
  getUnique<K extends Kind>(
    kind: K,
    unique: string,
    value: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<Stored<K> | null>;
  /** Records in key order (bytewise). Each page is consistent by itself. */
  list<K extends Kind>(kind: K, options?: ListOptions): AsyncIterable<Stored<K>>;
  /**
   * Applies all writes or none, and returns the commit's revision (the present one when nothing was to change).
   * `DINP_CONFLICT` (details `kind`, `key`, `revision`: present one or 0): a compare-and-set lost.
   * `DINP_NOT_UNIQUE` (details `kind`, `unique`, `value`): another record has that unique value.
   * `DINP_FENCED`: the lease has moved on. `DINP_COMMIT_UNKNOWN`: it may or may not have been applied.
   * `TypeError`: no writes, two writes to one key, or an illegal key.
   */
  commit(writes: readonly Write[], options?: CommitOptions): Promise<{ readonly revision: Revision }>;
  /** Every commit after `after`, in order, until the signal aborts (then it ends without an error). */
  watch(options: {
    readonly after: Revision;
    readonly kinds?: readonly Kind[];
    readonly signal: AbortSignal;
  }): AsyncIterable<WatchEvent>;
  /**
   * Takes the lease if it is free, expired or already this holder's (then it is renewed and keeps its epoch);
   * null when another holds it. Time is the backend's. Makes no revision.
   */
  tryAcquireLease(request: {
    readonly name: string;
    readonly holder: string;
    readonly ttlMs: number;
    readonly signal?: AbortSignal;
  }): Promise<Lease | null>;
  /** Gives the lease up if `lease.epoch` still holds it. Makes no revision. */
  releaseLease(lease: Lease): Promise<void>;
  /** Ends watches and releases the backend. Idempotent. */
  close(): Promise<void>;
}
