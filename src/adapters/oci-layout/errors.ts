import { DinpError, isDinpError, messageOf } from "@dinp/core";

/** The `code` of a file system error, such as `ENOENT`; null for anything else. */
export function codeOf(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

/** A file system error as the port's `DINP_UNAVAILABLE`; a `DinpError` comes back as it is. */
export function unavailable(what: string, error: unknown): DinpError {
  if (isDinpError(error)) return error;
  const code = codeOf(error);
  const full = code === "ENOSPC" || code === "EDQUOT";
  return new DinpError("DINP_UNAVAILABLE", `The image registry cannot ${what}: ${messageOf(error)}`, {
    cause: error,
    retryable: true,
    hint: full
      ? "Free space on its disk, then try again."
      : "See whether its folder can be read and written.",
  });
}

/** Throws `DINP_ABORTED` once the signal has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new DinpError("DINP_ABORTED", "The registry call was aborted.");
}
