import { DinpError, isDinpErrorCode, messageOf, type JsonValue } from "@dinp/core";
import { z } from "zod";

const MESSAGE_LENGTH_MAX = 4_096;

/** An error on its way. */
export const failureSchema = z.object({
  code: z.string().max(64),
  message: z.string(),
  retryable: z.boolean(),
  hint: z.string().exactOptional(),
  details: z.record(z.string(), z.custom<JsonValue>()),
});

export type Failure = z.output<typeof failureSchema>;

/** What the other end is told of an error: of one that is no `DinpError`, that there was one. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof DinpError)) {
    const message = `The agent failed: ${messageOf(error).slice(0, MESSAGE_LENGTH_MAX)}`;
    return { code: "DINP_INTERNAL", message, retryable: false, details: {} };
  }
  const { code, message, retryable, hint } = error;
  return { code, message, retryable, ...(hint === undefined ? {} : { hint }), details: { ...error.details } };
}

export function errorOf(failure: Failure): DinpError {
  const { code, message, retryable, hint, details } = failure;
  return new DinpError(isDinpErrorCode(code) ? code : "DINP_INTERNAL", message, {
    retryable,
    details,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** What everyone who uses a connection is told that has ended. */
export function connectionGone(reason = ""): DinpError {
  const why = reason === "" ? "" : `: ${reason}`;
  return new DinpError("DINP_UNAVAILABLE", `The connection between agent and server has ended${why}.`, {
    retryable: true,
  });
}
