import type { Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { contentTypeOf } from "./content-types.js";
import { locate, openFile } from "./locate.js";
import { parseRange } from "./range.js";

export interface StaticFileHandlerOptions {
  /** The real path of the folder that is served. */
  readonly root: string;
  /** Is told of a failure that the client got as 500 or as a broken answer. */
  readonly onError: (error: unknown) => void;
}

interface OpenFile {
  readonly name: string;
  readonly handle: FileHandle;
  readonly stats: Stats;
}

const METHODS = "GET, HEAD";
const NOT_FOUND_PAGE = "404.html";

/**
 * Makes a `node:http` handler that answers GET and HEAD with the files below a folder: `index.html` for folders, `404.html` for what
 * is not there, validators (ETag, Last-Modified), one byte range. Never throws and never rejects.
 */
export function createStaticFileHandler(
  options: StaticFileHandlerOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    answer(options.root, request, response).catch((error: unknown) => {
      // A client that went away is nobody's failure.
      if (request.destroyed || response.destroyed) response.destroy();
      else fail(response, error, options.onError);
    });
  };
}

function fail(response: ServerResponse, error: unknown, onError: (error: unknown) => void): void {
  onError(error);
  if (response.headersSent) response.destroy();
  else sendText(response, 500, "Internal server error");
}

async function answer(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    // The body is not read: the connection cannot be used again.
    sendText(response, 405, "Method not allowed", { allow: METHODS, connection: "close" });
    return;
  }
  const target = splitTarget(request.url ?? "/");
  if (target === null) {
    sendText(response, 400, "Bad request");
    return;
  }
  const located = await locate(root, target.path);
  switch (located.kind) {
    case "file":
      await sendFile(request, response, located, 200);
      break;
    case "folder":
      sendText(response, 308, "", { location: `${oneSlash(target.path)}/${target.query}` });
      break;
    case "none":
      await sendNotFound(root, request, response);
      break;
    case "invalid":
      sendText(response, 400, "Bad request");
      break;
  }
}

/** Origin form or absolute form (RFC 9112 section 3.2). */
function splitTarget(url: string): { readonly path: string; readonly query: string } | null {
  const origin = url.replace(/^https?:\/\/[^/?#]*/i, "");
  const match = /^([^?#]*)(\?[^#]*)?/.exec(origin);
  const path = match?.[1] ?? "";
  if (path !== "" && !path.startsWith("/")) return null;
  return { path: path === "" ? "/" : path, query: match?.[2] ?? "" };
}

/** Two slashes at the beginning of a location would name another host. */
function oneSlash(path: string): string {
  return path.replace(/^\/[/\\]*/, "/");
}

async function sendNotFound(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const page = await openFile(root, join(root, NOT_FOUND_PAGE), NOT_FOUND_PAGE);
  if (page.kind === "file") await sendFile(request, response, page, 404);
  else sendText(response, 404, "Not found");
}

async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  file: OpenFile,
  status: 200 | 404,
): Promise<void> {
  try {
    const { size, mtimeMs } = file.stats;
    const etag = `"${size.toString(16)}-${Math.floor(mtimeMs * 1000).toString(16)}"`;
    const headers: OutgoingHttpHeaders = {
      "content-type": contentTypeOf(file.name),
      "x-content-type-options": "nosniff",
    };
    if (status === 404) {
      await sendBytes(request, response, file, { status, headers, from: 0, to: size - 1 });
      return;
    }
    headers["etag"] = etag;
    headers["last-modified"] = new Date(mtimeMs).toUTCString();
    headers["cache-control"] = "no-cache";
    headers["accept-ranges"] = "bytes";
    if (isFresh(request, etag, mtimeMs)) {
      delete headers["content-type"];
      response.writeHead(304, headers).end();
      return;
    }
    const range = isRangeCurrent(request, etag) ? parseRange(request.headers.range, size) : "whole";
    if (range === "unsatisfiable") {
      sendText(response, 416, "Range not satisfiable", { "content-range": `bytes */${String(size)}` });
      return;
    }
    if (range === "whole") {
      await sendBytes(request, response, file, { status, headers, from: 0, to: size - 1 });
      return;
    }
    headers["content-range"] = `bytes ${String(range.from)}-${String(range.to)}/${String(size)}`;
    await sendBytes(request, response, file, { status: 206, headers, ...range });
  } finally {
    await file.handle.close();
  }
}

interface Part {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly from: number;
  readonly to: number;
}

async function sendBytes(
  request: IncomingMessage,
  response: ServerResponse,
  file: OpenFile,
  { status, headers, from, to }: Part,
): Promise<void> {
  const length = to - from + 1;
  response.writeHead(status, { ...headers, "content-length": String(length) });
  if (request.method === "HEAD" || length === 0) {
    response.end();
    return;
  }
  const bytes = file.handle.createReadStream({ start: from, end: to, autoClose: false });
  await pipeline(bytes, response, { end: false });
  // The file became shorter meanwhile: the client must see that its answer is not whole.
  if (bytes.bytesRead < length) response.destroy();
  else response.end();
}

/** RFC 9110 section 13.2.2: `If-None-Match` goes before `If-Modified-Since`. */
function isFresh(request: IncomingMessage, etag: string, mtimeMs: number): boolean {
  const noneMatch = request.headers["if-none-match"];
  if (noneMatch !== undefined)
    return noneMatch.split(",").some((tag) => ["*", etag, `W/${etag}`].includes(tag.trim()));
  const since = Date.parse(request.headers["if-modified-since"] ?? "");
  return Number.isFinite(since) && Math.floor(mtimeMs / 1000) * 1000 <= since;
}

/** RFC 9110 section 13.1.5: a range of something else than what the client has part of is no use to it. */
function isRangeCurrent(request: IncomingMessage, etag: string): boolean {
  const field = request.headers["if-range"];
  return request.method === "GET" && (field === undefined || field === etag);
}

function sendText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: OutgoingHttpHeaders = {},
): void {
  const body = text === "" ? "" : `${text}\n`;
  response.writeHead(status, {
    ...headers,
    "content-type": "text/plain; charset=utf-8",
    "content-length": String(Buffer.byteLength(body)),
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}
