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

const again = "Try again in a moment.";
const report = "The platform's own output says more.";

/** What to do about an error that does not say it itself. */
export const hintByCode = Object.freeze({
  DINP_INVALID: "Mend that value and try again.",
  DINP_UNAUTHENTICATED: "Log in again.",
  DINP_FORBIDDEN: "Ask someone who may.",
  DINP_NOT_FOUND: "List what there is to see its name.",
  DINP_CONFLICT: "Read it again, and decide anew.",
  DINP_NOT_UNIQUE: "Choose another name.",
  DINP_CONFIRMATION_REQUIRED: "Confirm it, if it is meant.",
  DINP_IDEMPOTENCY_KEY_REUSED: "Send another key.",
  DINP_TOO_LARGE: "Send less.",
  DINP_ARCHIVE_REFUSED: "Mend the archive and push again.",
  DINP_NO_COMMAND: "Say what starts the app.",
  DINP_PROGRAM_MISSING: "Install the program where the app is to run.",
  DINP_IMAGE_NOT_FOUND: "Push the code again.",
  DINP_DIGEST_MISMATCH: "Push the code again.",
  DINP_BUSY: again,
  DINP_UNAVAILABLE: again,
  DINP_CLOSED: again,
  DINP_COMMIT_UNKNOWN: "Read whether it was done before sending it again.",
  DINP_LOCKED: again,
  DINP_TIMEOUT: again,
  DINP_ABORTED: "Send the request again, to its end.",
  DINP_FENCED: report,
  DINP_CORRUPT: report,
  DINP_DRIVER_MISSING: report,
  DINP_PORT_TAKEN: report,
  DINP_ROUTE_VERSION: report,
  DINP_INTERNAL: report,
} satisfies Readonly<Record<DinpErrorCode, string>>);

/** True for a code of this version. */
export function isDinpErrorCode(value: unknown): value is DinpErrorCode {
  return typeof value === "string" && Object.hasOwn(statusByCode, value);
}
