import type { JsonValue } from "../model/errors.js";

/** Time. A simulator gives its own. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. */
  now(): number;
  /** Milliseconds that never go back; only differences mean something. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with `DINP_ABORTED` when the signal aborts first. */
  sleep(ms: number, options?: { readonly signal?: AbortSignal }): Promise<void>;
}

/** Randomness. A simulator gives a seeded one. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Fit for secrets in production. */
  bytes(length: number): Uint8Array;
}

export interface RunningHash {
  update(bytes: Uint8Array): void;
  /** Lower-case hex; ends the hash. */
  digestHex(): string;
}

export interface Hasher {
  sha256(): RunningHash;
}

/** A few small values that an agent or router keeps across restarts, on its own disk. Writes are durable and atomic. */
export interface LocalState {
  read(key: string): Promise<string | null>;
  write(key: string, value: string): Promise<void>;
}

/** Seals small secrets, so that what is stored of them tells nothing. */
export interface SecretBox {
  /** Gives other text each time. `purpose` says what the secret is for: for another one it cannot be opened. */
  seal(secret: string, purpose: string): Promise<string>;
  /** `DINP_CORRUPT` when it was not sealed here for this purpose, or its key is not there any more. */
  open(sealed: string, purpose: string): Promise<string>;
  /** The names of the keys that it has, the one that seals first; they tell nothing of the keys. None: it has no key yet. */
  keyNames(): Promise<readonly string[]>;
  /** The name of the key that a secret was sealed with; null when that is not written in it, or it was not sealed here. */
  keyNameOf(sealed: string): string | null;
}

export type LogFields = Readonly<Record<string, JsonValue>>;

/** Structured log. Never throws. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
