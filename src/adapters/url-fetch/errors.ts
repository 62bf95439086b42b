import { DinpError, isDinpError, shownUrl, type UploadPlace } from "@dinp/core";

const CERTIFICATE =
  /^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|ERR_TLS_CERT_|INVALID_CA|PATH_LENGTH_|INVALID_PURPOSE|HOSTNAME_MISMATCH)/;
const NOT_TLS =
  /^(?:EPROTO|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG|ERR_SSL_HTTP_REQUEST)$/;

const reasons: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", "refuses connections"],
  ["EHOSTUNREACH", "cannot be reached"],
  ["ENETUNREACH", "cannot be reached: there is no way to its network"],
  ["UND_ERR_HEADERS_OVERFLOW", "answers with more header fields than are read"],
  ["UND_ERR_RES_CONTENT_LENGTH_MISMATCH", "broke off before the end"],
]);

export function timeout(message: string): DinpError {
  const hint = "See whether that server is well, then try again; or send the file itself: dinp push FILE.";
  return new DinpError("DINP_TIMEOUT", message, { retryable: true, hint });
}

/** An address that uploads may not come from. The address itself stays unsaid: names inside a network are its own matter. */
export function forbidden({ host, port }: UploadPlace, kind: string): DinpError {
  const isAddress = /^[\d.]+$|:/.test(host);
  const place = `${host.includes(":") ? `[${host}]` : host}:${String(port)}`;
  const what = isAddress ? `${host} is` : `the name ${host} leads to`;
  return new DinpError("DINP_FORBIDDEN", `Uploads may not be fetched from there: ${what} ${kind}.`, {
    hint: `If that server is meant, whoever runs the platform can allow it: dinp up --allow-upload-from ${place}`,
    details: { host },
  });
}

/** What a name's lookup failed with. */
export function lookupError(host: string, error: unknown): DinpError {
  if (codeOf(error) === "ENOTFOUND" || codeOf(error) === "ENODATA") {
    return new DinpError("DINP_INVALID", `There is no host ${host}.`, {
      cause: error,
      hint: "Check the URL; its host is looked up by the platform, not by this machine.",
      details: { field: "url", host },
    });
  }
  return unavailable(host, "has a name that cannot be looked up now", error);
}

/** An error of the network, TLS or HTTP below. */
export function networkError(host: string, error: unknown): DinpError {
  if (isDinpError(error)) return error;
  const code = codeOf(error);
  if (code === "UND_ERR_CONNECT_TIMEOUT" || code === "ETIMEDOUT")
    return timeout(`${host} did not let itself be connected to in time.`);
  if (CERTIFICATE.test(code)) {
    return new DinpError("DINP_UNAVAILABLE", `The certificate of ${host} is not trusted (${code}).`, {
      cause: error,
      hint: "Have it use a trusted certificate, or start the platform with NODE_EXTRA_CA_CERTS=FILE of its authority.",
      details: { host },
    });
  }
  if (NOT_TLS.test(code)) {
    return new DinpError("DINP_UNAVAILABLE", `${host} does not speak TLS there (${code}).`, {
      cause: error,
      hint: "Check the port, or write http:// if it is meant.",
      details: { host },
    });
  }
  if (error instanceof Error && error.name === "HTTPParserError")
    return unavailable(host, "does not answer in HTTP/1.1", error, false);
  return unavailable(host, reasons.get(code) ?? "broke the connection", error);
}

/** An answer that is neither success nor redirect. */
export function statusError(url: URL, status: number): DinpError {
  const message = `${shownUrl(url)} answers ${String(status)} instead of the file.`;
  const details = { host: url.hostname, status };
  if (status >= 500 || status === 408 || status === 429)
    return new DinpError("DINP_UNAVAILABLE", message, { retryable: true, details, hint: "Try again later." });
  const hint =
    status === 401 || status === 403
      ? "The platform sends no credentials: give a URL that needs none (a signed one), or send the file: dinp push FILE."
      : "Check the URL: open it without being logged in.";
  return new DinpError("DINP_INVALID", message, { details: { field: "url", ...details }, hint });
}

/** A redirect that is not followed. */
export function redirectError(url: URL, what: string, hint: string): DinpError {
  return new DinpError("DINP_INVALID", `${shownUrl(url)} ${what}.`, {
    hint,
    details: { field: "url", host: url.hostname },
  });
}

export function tooLarge(url: URL, bytesMax: number): DinpError {
  const mebibytes = String(Math.floor(bytesMax / 1024 ** 2));
  const size = bytesMax < 1024 ** 2 ? `${String(bytesMax)} bytes` : `${mebibytes} MiB`;
  return new DinpError("DINP_TOO_LARGE", `What ${shownUrl(url)} leads to is larger than ${size}.`, {
    hint: "Leave out what the app does not need to run.",
    details: { bytesMax },
  });
}

function unavailable(host: string, what: string, cause: unknown, retryable = true): DinpError {
  const code = codeOf(cause);
  const message = `${host} ${what}${code === "" ? "" : ` (${code})`}.`;
  const hint = retryable ? "Try again later." : "Check the URL's port and scheme.";
  return new DinpError("DINP_UNAVAILABLE", message, { retryable, cause, hint, details: { host } });
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  return error.cause instanceof Error ? codeOf(error.cause) : "";
}
