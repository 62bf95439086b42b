import type { ClientRequest, IncomingMessage } from "node:http";
import type { AddedFields } from "@dinp/core";
import { type Fields, requestFields } from "./fields.js";
import type { NodeExchange } from "./node-exchange.js";

/** Methods whose repetition has the effect of one (RFC 9110 section 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);

/** How a request's body is framed; `length` is the client's own `Content-Length`. */
export type Body =
  { readonly kind: "none" | "chunked" } | { readonly kind: "sized"; readonly length: string };

/** The framing of a request that `node:http` has parsed. */
export function bodyOf(request: IncomingMessage): Body {
  if (request.headers["transfer-encoding"] !== undefined) return { kind: "chunked" };
  const length = request.headers["content-length"];
  return length === undefined ? { kind: "none" } : { kind: "sized", length };
}

/** False when not a single byte of body can follow. */
export function hasContent(body: Body): boolean {
  return body.kind === "chunked" || (body.kind === "sized" && Number(body.length) > 0);
}

/**
 * Replaces whatever http-proxy made of the head: it turns a chunked `DELETE` into one of length 0 and forwards
 * hop-by-hop fields.
 */
export function writeRequestHead(
  upstream: ClientRequest,
  exchange: NodeExchange,
  context: { readonly body: Body; readonly addedFields: AddedFields; readonly keepAlive: boolean },
): void {
  const { body, addedFields, keepAlive } = context;
  for (const name of upstream.getHeaderNames()) upstream.removeHeader(name);
  setFields(upstream, requestFields(exchange.fields, addedFields));
  if (body.kind === "chunked") upstream.setHeader("Transfer-Encoding", "chunked");
  if (body.kind === "sized") upstream.setHeader("Content-Length", body.length);
  if (exchange.upgrade !== null) {
    upstream.setHeader("Connection", "Upgrade");
    upstream.setHeader("Upgrade", "websocket");
  } else if (!keepAlive) {
    upstream.setHeader("Connection", "close");
  }
}

/** Sets all fields of a message that is not sent yet. */
export function setFields(
  message: { setHeader(name: string, value: string | readonly string[]): unknown },
  fields: Fields,
): void {
  for (const { name, values } of fields.values()) {
    const [first] = values;
    message.setHeader(name, values.length === 1 && first !== undefined ? first : values);
  }
}

/** The raw fields, without a length where none may be (RFC 9110 section 8.6). */
export function withoutLength(answer: IncomingMessage): readonly string[] {
  if (answer.statusCode !== 204) return answer.rawHeaders;
  return answer.rawHeaders.filter((_, i, raw) => raw[i - (i % 2)]?.toLowerCase() !== "content-length");
}

/** The reason phrase, when it is one that can be sent again. */
export function reasonOf(answer: IncomingMessage): string {
  const reason = answer.statusMessage ?? "";
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(reason) ? reason : "";
}

/** The head of a 101 answer as bytes to be sent in latin1; `own` are the router's fields. */
export function switchingHead(fields: Fields, own: NodeJS.Dict<number | string | string[]>): string {
  const lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"];
  for (const { name, values } of fields.values()) {
    for (const value of values) lines.push(`${name}: ${value}`);
  }
  for (const [name, value] of Object.entries(own)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) lines.push(`${name}: ${String(one)}`);
    }
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** True when the request may be sent twice: idempotent, without a body, and no upgrade. */
export function isReplayable({ request, upgrade }: NodeExchange): boolean {
  return upgrade === null && IDEMPOTENT.has(request.method ?? "") && !hasContent(bodyOf(request));
}
