const codes = [
  "DINP_INVALID",
  "DINP_NOT_FOUND",
  "DINP_CONFLICT",
  "DINP_NOT_UNIQUE",
  "DINP_FENCED",
  "DINP_UNAVAILABLE",
  "DINP_COMMIT_UNKNOWN",
  "DINP_LOCKED",
  "DINP_CLOSED",
  "DINP_ABORTED",
  "DINP_TIMEOUT",
  "DINP_CORRUPT",
  "DINP_DRIVER_MISSING",
  "DINP_UNAUTHENTICATED",
  "DINP_FORBIDDEN",
  "DINP_CONFIRMATION_REQUIRED",
  "DINP_IDEMPOTENCY_KEY_REUSED",
  "DINP_ARCHIVE_REFUSED",
  "DINP_NO_COMMAND",
  "DINP_DIGEST_MISMATCH",
  "DINP_IMAGE_NOT_FOUND",
  "DINP_PROGRAM_MISSING",
  "DINP_TOO_LARGE",
  "DINP_BUSY",
  "DINP_PORT_TAKEN",
  "DINP_ROUTE_VERSION",
  "DINP_INTERNAL",
] as const;

/**
 * Stable codes of {@link DinpError}. A code never changes its meaning; messages may change.
 *
 * `INVALID` bad input · `NOT_FOUND` no such thing · `CONFLICT` a compare-and-set lost · `NOT_UNIQUE` a unique key is taken ·
 * `FENCED` an older epoch wrote · `UNAVAILABLE` a backend does not answer (its state is unknown, never "empty") ·
 * `COMMIT_UNKNOWN` the connection was lost after the commit was sent · `LOCKED` another process holds the store ·
 * `CLOSED` used after `close()` · `ABORTED` the caller's signal · `TIMEOUT` a bounded wait ended.
 */
export type DinpErrorCode = (typeof codes)[number];

/** A value that survives a trip through JSON. */
export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** What a {@link DinpError} may carry besides its code and message. */
export interface DinpErrorOptions {
  /** True when the same call may succeed later without a change by the caller. Default false. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
  /** What the reader should do next, as one sentence. */
  readonly hint?: string;
  /** Machine-readable particulars; never secrets. */
  readonly details?: Readonly<Record<string, JsonValue>>;
}

/** The same in every copy of this module that a process has loaded. */
const brand = Symbol.for("@dinp/core/DinpError");

/**
 * The one error type that leaves a public function for anything but a programmer's mistake (that is a `TypeError`). `instanceof`
 * also knows the errors of another copy of this package in the same process.
 */
export class DinpError extends Error {
  override readonly name = "DinpError";
  readonly code: DinpErrorCode;
  readonly retryable: boolean;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, JsonValue>>;

  constructor(code: DinpErrorCode, message: string, options: DinpErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.hint = options.hint;
    this.details = options.details ?? {};
    Object.defineProperty(this, brand, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    // Of a class below this one, only what was made by it is one.
    if (this !== DinpError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === "object" && value !== null && brand in value;
  }
}

/** True when `error` is a {@link DinpError} (of the given code, when one is given). */
export function isDinpError(error: unknown, code?: DinpErrorCode): error is DinpError {
  return error instanceof DinpError && (code === undefined || error.code === code);
}

/** True for a code of this version. */
export function isDinpErrorCode(value: unknown): value is DinpErrorCode {
  return codes.some((code) => code === value);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
