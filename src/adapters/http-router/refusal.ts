import { STATUS_CODES, type IncomingMessage, type ServerResponse } from "node:http";

/** Why the router answered by itself: the value of the field `x-dinp-error`. Stable. */
export type RefusalReason =
  | "bad_request"
  | "request_timeout"
  | "method_not_allowed"
  | "expectation_failed"
  | "fields_too_large"
  | "version_not_supported"
  | "loop_detected"
  | "unknown_host"
  | "unknown_path"
  | "app_stopped"
  | "no_ready_instance"
  | "no_route_table"
  | "endpoint_failed"
  | "endpoint_timeout"
  | "too_many_requests"
  | "internal_error";

/** An answer of the router's own. */
export interface Refusal {
  readonly status: number;
  readonly reason: RefusalReason;
  /** What is wrong and what to do about it. */
  readonly message: string;
  /** True when nothing more may be read from the connection. */
  readonly close?: boolean;
  readonly retryAfterSeconds?: number;
}

/** A refusal of a request that is not well-formed: 400, and the connection is closed. */
export function badRequest(message: string): Refusal {
  return { status: 400, reason: "bad_request", message, close: true };
}

/** Sends the refusal as text, or as JSON to a client that asks for it. Nothing may have been sent before. */
export function sendRefusal(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  const page = pageOf(refusal, wantsJson(request.headers.accept), response.getHeader("x-request-id"));
  if (refusal.close === true) response.shouldKeepAlive = false;
  response.writeHead(refusal.status, page.fields);
  response.end(request.method === "HEAD" ? undefined : page.body);
}

/** The refusal as the bytes of an answer, for a connection without a request that could be answered. */
export function rawRefusal(refusal: Refusal): string {
  const { fields, body } = pageOf(refusal, false, undefined);
  const lines = Object.entries({ ...fields, connection: "close" }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  const status = `HTTP/1.1 ${String(refusal.status)} ${STATUS_CODES[refusal.status] ?? ""}`;
  return `${[status, ...lines].join("\r\n")}\r\n\r\n${body}`;
}

interface Page {
  readonly fields: Record<string, string>;
  readonly body: string;
}

function pageOf(refusal: Refusal, json: boolean, requestId: number | string | string[] | undefined): Page {
  const { status, reason, message, retryAfterSeconds } = refusal;
  const id = typeof requestId === "string" ? requestId : undefined;
  const body = json
    ? `${JSON.stringify({ error: { status, reason, message, requestId: id } })}\n`
    : `${String(status)} ${reason}\n${message}\n${id === undefined ? "" : `Request ${id}\n`}`;
  const fields: Record<string, string> = {
    "content-type": json ? "application/json; charset=utf-8" : "text/plain; charset=utf-8",
    "content-length": String(Buffer.byteLength(body)),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-dinp-error": reason,
  };
  if (retryAfterSeconds !== undefined) fields["retry-after"] = String(retryAfterSeconds);
  if (status === 405) fields["allow"] = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
  return { fields, body };
}

function wantsJson(accept: string | undefined): boolean {
  return accept !== undefined && /\bapplication\/(?:[\w.-]+\+)?json\b/i.test(accept);
}
