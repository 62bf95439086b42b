import type { IncomingMessage } from "node:http";
import { normalizeHost } from "@dinp/core";
import { badRequest, type Refusal } from "./refusal.js";

/** What routing needs of a request that is well-formed. */
export interface CheckedRequest {
  /** As routes name it. */
  readonly host: string;
  /** The `Host` field as it came. */
  readonly hostField: string;
  /** The path as it came, beginning with `/`, without the query. */
  readonly path: string;
  /** The request-target in origin form, or `*`. */
  readonly target: string;
}

export interface CheckLimits {
  readonly headerCountMax: number;
}

/**
 * Checks what the parser lets through but two parsers could read in two ways: repeated or odd framing fields
 * (RFC 9112 section 6), a missing, repeated or malformed `Host` (section 3.2), targets in other forms (section 3.2).
 */
export function checkRequest(request: IncomingMessage, limits: CheckLimits): CheckedRequest | Refusal {
  return (
    checkLine(request) ??
    checkFields(request.rawHeaders, limits) ??
    checkFraming(request) ??
    checkTarget(request)
  );
}

/** True for a {@link Refusal}. */
export function isRefusal(checked: CheckedRequest | Refusal): checked is Refusal {
  return "reason" in checked;
}

/** True when the client asks to go on as a WebSocket: `GET`, HTTP/1.1, no body (RFC 6455 section 4.2.1). */
export function asksForWebSocket(request: IncomingMessage): boolean {
  return (
    request.method === "GET" &&
    request.httpVersion === "1.1" &&
    request.headers.upgrade?.trim().toLowerCase() === "websocket"
  );
}

/** True when bytes of a body may follow the head. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers["content-length"];
  return request.headers["transfer-encoding"] !== undefined || (length !== undefined && Number(length) > 0);
}

function checkLine(request: IncomingMessage): Refusal | null {
  if (request.httpVersion !== "1.1" && request.httpVersion !== "1.0") {
    return {
      status: 505,
      reason: "version_not_supported",
      message: "This router speaks HTTP/1.1 and HTTP/1.0.",
      close: true,
    };
  }
  if (request.method === "TRACE") return methodNotAllowed("TRACE");
  return null;
}

/** The refusal of a method that no app is to see. */
export function methodNotAllowed(method: string): Refusal {
  return {
    status: 405,
    reason: "method_not_allowed",
    message: `${method} is not passed on to apps.`,
    close: true,
  };
}

function checkFields(raw: readonly string[], limits: CheckLimits): Refusal | null {
  if (raw.length / 2 > limits.headerCountMax) {
    return {
      status: 431,
      reason: "fields_too_large",
      message: `The request has more than ${String(limits.headerCountMax)} header fields. Send fewer.`,
      close: true,
    };
  }
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(raw[i] ?? ""))
      return badRequest("A header field's name is not a token.");
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(raw[i + 1] ?? "")) {
      return badRequest("A header field's value has a control character in it.");
    }
  }
  return null;
}

function checkFraming(request: IncomingMessage): Refusal | null {
  const codings = valuesOf(request.rawHeaders, "transfer-encoding");
  const lengths = valuesOf(request.rawHeaders, "content-length");
  if (codings.length > 0 && lengths.length > 0) {
    return badRequest("The request has both Content-Length and Transfer-Encoding. Send one of them.");
  }
  if (codings.length > 1 || lengths.length > 1) return badRequest("A framing field comes more than once.");
  const [coding] = codings;
  if (coding !== undefined && (coding.toLowerCase() !== "chunked" || request.httpVersion === "1.0")) {
    return badRequest("The only Transfer-Encoding understood is chunked, in HTTP/1.1.");
  }
  const [length] = lengths;
  if (length !== undefined && !/^[0-9]{1,15}$/.test(length)) {
    return badRequest("The Content-Length is not a number of bytes.");
  }
  return null;
}

function checkTarget(request: IncomingMessage): CheckedRequest | Refusal {
  const hosts = valuesOf(request.rawHeaders, "host");
  const [hostField] = hosts;
  if (hostField === undefined || hosts.length > 1) return badRequest("The request must have one Host field.");
  const host = normalizeHost(hostField);
  if (host === null) return badRequest("The Host field is not a host name with an optional port.");
  const url = request.url ?? "";
  if (url === "*" && request.method === "OPTIONS") return { host, hostField, path: "/", target: "*" };
  if (url.startsWith("/")) return checkOrigin(url, host, hostField);
  return checkAbsolute(url, host, hostField, request.method === "OPTIONS");
}

function checkAbsolute(
  url: string,
  host: string,
  hostField: string,
  options: boolean,
): CheckedRequest | Refusal {
  const match = /^https?:\/\/([^/?#]*)(.*)$/i.exec(url);
  const [, authority, rest] = match ?? [];
  if (authority === undefined || rest === undefined) {
    return badRequest("The request target must begin with '/' (or with http://HOST/).");
  }
  if (normalizeHost(authority) !== host)
    return badRequest("The request target and the Host field name different hosts.");
  if (rest === "" && options) return { host, hostField, path: "/", target: "*" };
  return checkOrigin(rest.startsWith("/") ? rest : `/${rest}`, host, hostField);
}

function checkOrigin(target: string, host: string, hostField: string): CheckedRequest | Refusal {
  for (let i = 0; i < target.length; i += 1) {
    const code = target.charCodeAt(i);
    if (code <= 0x20 || code === 0x7f || code === 0x23) {
      return badRequest("The request target has a character in it that must be percent-encoded.");
    }
  }
  const query = target.indexOf("?");
  return { host, hostField, path: query < 0 ? target : target.slice(0, query), target };
}

function valuesOf(raw: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.toLowerCase() === name) values.push(raw[i + 1] ?? "");
  }
  return values;
}
