import { DinpError } from "@dinp/core";

/** An answer of the engine that says no. It never leaves the adapter. */
export class EngineRefusal extends Error {
  override readonly name = "EngineRefusal";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function isRefusal(error: unknown, ...statuses: readonly number[]): error is EngineRefusal {
  return error instanceof EngineRefusal && (statuses.length === 0 || statuses.includes(error.status));
}

/** What an error becomes for the caller: a refusal is `DINP_UNAVAILABLE`, any other stays as it is. */
export function asDinpError(what: string, error: unknown): unknown {
  if (!(error instanceof EngineRefusal)) return error;
  return new DinpError("DINP_UNAVAILABLE", `${what}: ${error.message}`, {
    retryable: error.status >= 500 || error.status === 409,
    cause: error,
    details: { status: error.status },
  });
}
