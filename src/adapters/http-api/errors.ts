import { DinpError, isDinpError, messageOf, type JsonValue, type Logger } from "@dinp/core";
import { hintByCode, statusByCode } from "./codes.js";

/** The JSON form of an error. */
export interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint: string;
    readonly details?: Readonly<Record<string, JsonValue>>;
  };
}

export function errorBody(error: DinpError): ErrorBody {
  const { code, message, hint, details } = error;
  return {
    error: {
      code,
      message,
      hint: hint ?? hintByCode[code],
      ...(Object.keys(details).length === 0 ? {} : { details }),
    },
  };
}

/** Errors that users have nothing to do with: they learn an id, the log the rest. */
function isInternal(error: DinpError): boolean {
  return statusByCode[error.code] === 500;
}

/** What a client may know of an error. What is the platform's own trouble is logged under the request's id. */
export function publicError(error: unknown, requestId: string, logger: Logger): DinpError {
  if (isDinpError(error) && !isInternal(error)) return error;
  logger.error("a request failed", {
    requestId,
    error: messageOf(error),
    stack: error instanceof Error ? (error.stack ?? null) : null,
    cause: error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : null,
  });
  return new DinpError("DINP_INTERNAL", `Something went wrong inside the platform (request ${requestId}).`, {
    hint: "The platform's own output says more under this request id.",
    details: { requestId },
  });
}
