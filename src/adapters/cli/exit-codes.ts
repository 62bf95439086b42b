import { isDinpError, type DinpErrorCode } from "@dinp/core";

/** The exit codes of `dinp`; their meaning never changes. */
export const exitCodes = Object.freeze({
  ok: 0,
  failed: 1,
  usage: 2,
  denied: 3,
  unreachable: 4,
  notFound: 5,
  commandTimedOut: 124,
  interrupted: 130,
  brokenPipe: 141,
});

/** The paragraph of `--help` that documents {@link exitCodes}. */
export const exitCodesHelp = [
  "Exit codes:",
  "  0    done",
  "  1    the operation failed (the app did not start, the API refused, time ran out)",
  "  2    wrong usage",
  "  3    not logged in, or not allowed",
  "  4    the API cannot be reached, or is not ready",
  "  5    no such app, release or domain",
  "  124  the command of run or exec was ended by its --timeout",
  "  130  interrupted with Ctrl-C",
].join("\n");

/** A failure that the CLI words itself: printed as `error:` and `hint:` lines, then the process ends with `exitCode`. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: number;
  readonly hints: readonly string[];

  constructor(
    exitCode: number,
    message: string,
    options: { readonly hints?: readonly string[]; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = exitCode;
    this.hints = options.hints ?? [];
  }
}

/** A {@link CliError} of wrong usage (exit code 2). */
export function usageError(message: string, ...hints: readonly string[]): CliError {
  return new CliError(exitCodes.usage, message, { hints });
}

const byCode: Partial<Record<DinpErrorCode, number>> = {
  DINP_UNAUTHENTICATED: exitCodes.denied,
  DINP_FORBIDDEN: exitCodes.denied,
  DINP_NOT_FOUND: exitCodes.notFound,
  DINP_ABORTED: exitCodes.interrupted,
  DINP_UNAVAILABLE: exitCodes.unreachable,
  DINP_TIMEOUT: exitCodes.unreachable,
  DINP_CLOSED: exitCodes.unreachable,
};

/** The exit code for anything that was thrown. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CliError) return error.exitCode;
  if (isDinpError(error)) return byCode[error.code] ?? exitCodes.failed;
  return exitCodes.failed;
}
