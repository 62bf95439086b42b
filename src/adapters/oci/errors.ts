import { DinpError, type DinpErrorCode } from "@dinp/core";

/** Certificate trouble, in the codes of OpenSSL and Node: trying again does not help. */
const CERTIFICATE =
  /^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|ERR_TLS_CERT_|INVALID_CA|PATH_LENGTH_|INVALID_PURPOSE|HOSTNAME_MISMATCH)/;
const NOT_TLS =
  /^(?:EPROTO|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG|ERR_SSL_HTTP_REQUEST)$/;

/** What a host does, by the code of the error. */
const faults: ReadonlyMap<string, string> = new Map([
  ["CONNECT_TIMEOUT", "does not let itself be connected to"],
  ["RESPONSE_TIMEOUT", "does not answer"],
  ["BODY_TIMEOUT", "stopped in the middle of an answer"],
  ["ECONNREFUSED", "refuses connections"],
  ["ENOTFOUND", "has a name that is not known"],
  ["EAI_AGAIN", "has a name that cannot be looked up now"],
]);

/** What to say of an error of the network, TLS or HTTP below: `DINP_UNAVAILABLE`. */
export function networkError(host: string, error: unknown): DinpError {
  const code = codeOf(error);
  if (CERTIFICATE.test(code)) {
    return new DinpError("DINP_UNAVAILABLE", `The certificate of ${host} is not trusted (${code}).`, {
      cause: error,
      hint: "Give the certificate of its authority as ca, or have the registry use a trusted one.",
    });
  }
  if (NOT_TLS.test(code)) {
    return new DinpError("DINP_UNAVAILABLE", `${host} does not speak TLS (${code}).`, {
      cause: error,
      hint: "Is it a registry for plain http, or is the port another service's?",
    });
  }
  const what = faults.get(code) ?? "cannot be reached, or broke the connection";
  return unavailable(`The registry ${host} ${what} (${code === "" ? "no code" : code}).`, {
    cause: error,
    retryable: true,
  });
}

/** `DINP_UNAVAILABLE`; with `retryable`, the call is made again by itself first. */
export function unavailable(
  message: string,
  options: {
    readonly retryable?: boolean;
    readonly cause?: unknown;
    readonly hint?: string;
    readonly retryAfterMs?: number | null;
  } = {},
): DinpError {
  const { retryable = false, cause, hint, retryAfterMs } = options;
  return new DinpError("DINP_UNAVAILABLE", message, {
    retryable,
    cause,
    ...(hint === undefined ? {} : { hint }),
    ...(retryAfterMs == null ? {} : { details: { retryAfterMs } }),
  });
}

export function aborted(): DinpError {
  return new DinpError("DINP_ABORTED", "The registry call was aborted.");
}

/** Throws `DINP_ABORTED` once the signal has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted();
}

/** The error for an answer of this status that the caller has no meaning for. `said` is the registry's own word for it. */
export function statusError(
  what: string,
  status: number,
  said: string,
  retryAfterMs: number | null,
): DinpError {
  const answer = said === "" ? String(status) : `${String(status)} ${said}`;
  const message = `The registry cannot ${what}: it answers ${answer}.`;
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    return unavailable(message, { retryable: true, retryAfterMs });
  }
  const [code, hint] = refusals.get(status) ?? ["DINP_UNAVAILABLE", "Is this the address of a registry?"];
  return new DinpError(code, message, { hint, details: { status } });
}

const refusals: ReadonlyMap<number, readonly [DinpErrorCode, string]> = new Map([
  [400, ["DINP_INVALID", "See what the registry says."]],
  [401, ["DINP_UNAUTHENTICATED", "Give credentials that this registry accepts."]],
  [403, ["DINP_FORBIDDEN", "Have these credentials allowed to do this in the registry."]],
  [404, ["DINP_UNAVAILABLE", "Does the repository have to be made in the registry first?"]],
  [405, ["DINP_FORBIDDEN", "Have the registry allow it (deletion is often switched off)."]],
  [413, ["DINP_TOO_LARGE", "Have the registry, or the proxy before it, allow larger content."]],
]);

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  return error.cause instanceof Error ? codeOf(error.cause) : "";
}
