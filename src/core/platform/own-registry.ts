import { DinpError, isDinpError } from "../model/errors.js";

/** An error of the platform's own registry: who may not use that is not who asks the platform. */
export function fromOwnRegistry(error: unknown): unknown {
  if (!isDinpError(error, "DINP_UNAUTHENTICATED")) return error;
  return new DinpError(
    "DINP_UNAVAILABLE",
    `The platform's registry lets it store nothing: ${error.message}`,
    {
      cause: error,
      hint: "Whoever operates the platform has to renew its credentials for the registry.",
    },
  );
}
