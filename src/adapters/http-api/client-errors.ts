import { DinpError, isDinpErrorCode, messageOf, type JsonValue } from "@dinp/core";

/** A JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isJsonObject(value: unknown): value is Record<string, JsonValue> {
  return isObject(value);
}

/** The error that the API answered with. */
export function errorOf(body: unknown, status: number, url: string): DinpError {
  const error = isObject(body) ? body["error"] : undefined;
  const code = isObject(error) ? error["code"] : undefined;
  if (!isObject(error) || typeof error["message"] !== "string" || !/^DINP_/.test(String(code))) {
    return new DinpError(
      "DINP_UNAVAILABLE",
      `${url} does not answer like a DINP API (status ${String(status)}).`,
      {
        hint: "Check the URL: it must be the API's, not the router's or an app's.",
      },
    );
  }
  const known = isDinpErrorCode(code);
  return new DinpError(known ? code : "DINP_INTERNAL", error["message"], {
    retryable: code === "DINP_UNAVAILABLE" || code === "DINP_BUSY" || code === "DINP_CONFLICT",
    ...(typeof error["hint"] === "string" ? { hint: error["hint"] } : {}),
    ...(isJsonObject(error["details"]) ? { details: error["details"] } : {}),
  });
}

const UNKNOWN_AUTHORITY = "nobody that is trusted has signed its certificate";

/** What codes of failed connections mean, in words. */
const reasons: ReadonlyMap<string, string> = new Map([
  ["CERT_HAS_EXPIRED", "its certificate has expired"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "its certificate is self-signed"],
  ["SELF_SIGNED_CERT_IN_CHAIN", UNKNOWN_AUTHORITY],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", UNKNOWN_AUTHORITY],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", UNKNOWN_AUTHORITY],
  ["CERT_NOT_YET_VALID", "its certificate is not valid yet"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "its certificate is for other names"],
  ["EAI_AGAIN", "the host's name could not be looked up"],
  ["ECONNREFUSED", "connection refused"],
  ["ECONNRESET", "the connection broke"],
  ["EHOSTUNREACH", "there is no way to the host"],
  ["ENETUNREACH", "there is no way to its network"],
  ["ENOTFOUND", "there is no host of that name"],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "it does not speak TLS: write http://"],
  ["ETIMEDOUT", "no connection in time"],
  ["UND_ERR_CONNECT_TIMEOUT", "no connection in time"],
  ["UND_ERR_SOCKET", "the connection broke"],
]);

/** The innermost reason of a failed exchange: `fetch` hides it in `cause`. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return code === null ? messageOf(innerOf(error)) : (reasons.get(code) ?? code);
}

/** What to do about a server whose certificate is not believed; null when that is not what failed. */
export function certificateAdvice(error: unknown): string | null {
  return advices.get(codeOf(error) ?? "") ?? null;
}

const TRUST_IT =
  "If that server is meant, set NODE_EXTRA_CA_CERTS to the file of its authority's certificate before the program starts.";
const RENEW_IT =
  "Whoever runs the server has to renew its certificate; see that the clock is right here and there.";

const advices: ReadonlyMap<string, string> = new Map([
  ["CERT_HAS_EXPIRED", RENEW_IT],
  ["CERT_NOT_YET_VALID", RENEW_IT],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", TRUST_IT],
  ["SELF_SIGNED_CERT_IN_CHAIN", TRUST_IT],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", TRUST_IT],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", TRUST_IT],
  [
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "Use a name or an address that its certificate is for, or have it made for this one.",
  ],
]);

function innerOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error;
}

function codeOf(error: unknown): string | null {
  const inner = innerOf(error);
  return inner instanceof Error && "code" in inner && typeof inner.code === "string" ? inner.code : null;
}
