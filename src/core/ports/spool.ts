/** Keeps streams aside for as long as they may have to be read again. */
export interface Spool {
  /** An empty place of its own. Rejects when there is none, such as on a full disk. */
  open(): Promise<SpooledBytes>;
}

/** Bytes that are kept until they are closed, and nowhere to be found afterwards, also when the process dies. */
export interface SpooledBytes {
  /** Adds bytes behind those that are there; one call at a time. After a failure nothing can be relied on but `close`. */
  append(bytes: Uint8Array): Promise<void>;
  /** The bytes from `offset` on, at most `countMax` and at least one of those that were appended. */
  read(offset: number, countMax: number): Promise<Uint8Array>;
  /** Idempotent. */
  close(): Promise<void>;
}
