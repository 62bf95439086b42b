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

const UNKNOWN_AUTHORITY =
  "nobody that is trusted has signed its certificate; NODE_EXTRA_CA_CERTS names a file of further authorities";

/** What codes of failed connections mean, in words. */
const reasons: ReadonlyMap<string, string> = new Map([
  ["CERT_HAS_EXPIRED", "its certificate has expired"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "its certificate is self-signed"],
  ["SELF_SIGNED_CERT_IN_CHAIN", UNKNOWN_AUTHORITY],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", UNKNOWN_AUTHORITY],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", UNKNOWN_AUTHORITY],
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
  const inner = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (inner instanceof Error && "code" in inner && typeof inner.code === "string")
    return reasons.get(inner.code) ?? inner.code;
  return messageOf(inner);
}
