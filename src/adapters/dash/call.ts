import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { DinpError } from "@dinp/core";
import { readBody } from "./request-body.js";
import type { DashTimeouts } from "./options.js";
import { UploadBody } from "./upload-body.js";

/** A request of the page for the API, as it is passed on. */
export interface Call {
  readonly method: string;
  /** Path and query at the API, from `/v1/` on. */
  readonly target: string;
  /** By lower-case name; without what belongs to one connection, the cookie and the credential. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | UploadBody | null;
  /** Whether it does no more when it reaches the API twice. */
  readonly isRepeatable: boolean;
  /** How long the head of its answer may take. */
  readonly answerMs: number;
}

const TARGET = /^\/api(\/v1\/[\x21\x24-\x7e]*)$/;
const UPLOAD = /^\/v1\/(?:apps\/[^/?]+\/builds|bases\/[^/?]+\/archive)(?:\?|$)/;
const LONG = /^\/v1\/(?:apps\/[^/?]+\/(?:url-builds|releases|plan|exec|run)|bases\/[^/?]+)(?:\?|$)/;
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
/** A command with its input, in base64, is what the API takes at most. */
const BODY_BYTES_MAX = 2 * 1024 * 1024;
const FIELDS = ["accept", "content-type", "idempotency-key", "if-match", "if-none-match", "user-agent"];

/** Reads what the page asks of the API; of an upload nothing yet. `DINP_NOT_FOUND`, `DINP_INVALID`, and those of {@link readBody}. */
export async function readCall(incoming: IncomingMessage, timeouts: DashTimeouts): Promise<Call> {
  const { method = "", url = "" } = incoming;
  const target = TARGET.exec(url)?.[1];
  if (target === undefined)
    throw new DinpError("DINP_NOT_FOUND", "Below /api there is only the platform's API, /api/v1/…");
  if (!METHODS.has(method)) throw new DinpError("DINP_INVALID", "The API has no such method.");
  const isUpload = method === "POST" && UPLOAD.test(target);
  const headers = fieldsOf(incoming.headers);
  const isRead = method === "GET" || method === "HEAD";
  return {
    method,
    target,
    headers: isUpload ? { ...headers, ...lengthOf(incoming.headers) } : headers,
    body: isRead
      ? null
      : isUpload
        ? new UploadBody(incoming, timeouts.idleMs)
        : await smallBody(incoming, timeouts),
    isRepeatable: isRead || (!isUpload && headers["idempotency-key"] !== undefined),
    answerMs:
      isUpload || (method === "POST" && LONG.test(target)) ? timeouts.longAnswerMs : timeouts.answerMs,
  };
}

async function smallBody(incoming: IncomingMessage, { answerMs }: DashTimeouts): Promise<Buffer | null> {
  const body = await readBody(incoming, { bytesMax: BODY_BYTES_MAX, timeoutMs: answerMs });
  return body.byteLength === 0 ? null : body;
}

function fieldsOf(headers: IncomingHttpHeaders): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of FIELDS) {
    const value = headers[name];
    if (typeof value === "string") kept[name] = value;
  }
  return kept;
}

/** The parser has made sure that it is the body's. */
function lengthOf(headers: IncomingHttpHeaders): Record<string, string> {
  const length = headers["content-length"];
  return length === undefined ? { "transfer-encoding": "chunked" } : { "content-length": length };
}
