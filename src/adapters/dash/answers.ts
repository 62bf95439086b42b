import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { DinpError, DinpErrorCode } from "@dinp/core";

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** What every answer carries: no other site may show, embed or read it, and nothing but its own files runs in the page. */
export function setSecurityFields(response: ServerResponse, options: { readonly isTls: boolean }): void {
  response.setHeader("content-security-policy", POLICY);
  response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("x-frame-options", "DENY");
  response.setHeader("referrer-policy", "same-origin");
  response.setHeader("cross-origin-opener-policy", "same-origin");
  response.setHeader("cross-origin-resource-policy", "same-origin");
  if (options.isTls) response.setHeader("strict-transport-security", "max-age=31536000");
}

/** The status with which an error of the dashboard's own is answered, as the API would. */
const statuses: Partial<Record<DinpErrorCode, number>> = {
  DINP_INVALID: 400,
  DINP_UNAUTHENTICATED: 401,
  DINP_FORBIDDEN: 403,
  DINP_NOT_FOUND: 404,
  DINP_TOO_LARGE: 413,
  DINP_BUSY: 429,
  DINP_UNAVAILABLE: 503,
  DINP_COMMIT_UNKNOWN: 503,
  DINP_CLOSED: 503,
  DINP_TIMEOUT: 504,
};

/** Answers with JSON that nobody keeps. */
export function sendJson(
  response: ServerResponse,
  status: number,
  value: object,
  fields: OutgoingHttpHeaders = {},
): void {
  const body = JSON.stringify(value);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    "cache-control": "no-store",
    ...fields,
  });
  response.end(body);
}

/** Answers with an error in the form of the API's. */
export function sendError(
  response: ServerResponse,
  { code, message, hint = "Try again in a moment.", details }: DinpError,
  fields: OutgoingHttpHeaders = {},
): void {
  const more = Object.keys(details).length === 0 ? {} : { details };
  sendJson(response, statuses[code] ?? 500, { error: { code, message, hint, ...more } }, fields);
}
