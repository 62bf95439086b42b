import type { DinpErrorCode } from "@dinp/core";

/** The HTTP status (RFC 9110 section 15) with which each error code is answered. */
export const statusByCode = Object.freeze({
  DINP_INVALID: 400,
  DINP_UNAUTHENTICATED: 401,
  DINP_FORBIDDEN: 403,
  DINP_NOT_FOUND: 404,
  DINP_CONFLICT: 409,
  DINP_NOT_UNIQUE: 409,
  DINP_CONFIRMATION_REQUIRED: 409,
  DINP_IDEMPOTENCY_KEY_REUSED: 409,
  DINP_TOO_LARGE: 413,
  DINP_ARCHIVE_REFUSED: 422,
  DINP_NO_COMMAND: 422,
  DINP_PROGRAM_MISSING: 422,
  DINP_IMAGE_NOT_FOUND: 422,
  DINP_DIGEST_MISMATCH: 422,
  DINP_BUSY: 429,
  DINP_UNAVAILABLE: 503,
  DINP_CLOSED: 503,
  DINP_COMMIT_UNKNOWN: 503,
  DINP_LOCKED: 503,
  DINP_TIMEOUT: 504,
  DINP_ABORTED: 499,
  DINP_FENCED: 500,
  DINP_CORRUPT: 500,
  DINP_DRIVER_MISSING: 500,
  DINP_PORT_TAKEN: 500,
  DINP_ROUTE_VERSION: 500,
  DINP_INTERNAL: 500,
} satisfies Readonly<Record<DinpErrorCode, number>>);

/** True for a code of this version. */
export function isDinpErrorCode(value: unknown): value is DinpErrorCode {
  return typeof value === "string" && Object.hasOwn(statusByCode, value);
}
