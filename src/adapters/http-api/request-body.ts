import type { HttpBindings } from "@hono/node-server";
import { DinpError } from "@dinp/core";
import { IncomingBody } from "./incoming-body.js";
import { parseJson } from "./json-guard.js";
import { keepWaiting } from "./long-answer.js";

const JSON_TIMEOUT_MS = 30_000;
const JSON_TYPE = /^application\/json\s*(?:;|$)/i;
const ARCHIVE_TYPE =
  /^application\/(?:gzip|x-gzip|octet-stream|x-tar|zip|x-zip-compressed|java-archive|x-java-archive)\s*(?:;|$)/i;

/** The type of a body is not one that the endpoint takes. Answered with status 415. */
export class WrongTypeError extends DinpError {
  constructor(given: string | undefined, wanted: string) {
    const shown =
      given === undefined ? "no content type" : `content type ${JSON.stringify(given.slice(0, 80))}`;
    super("DINP_INVALID", `The request's body has ${shown}; this endpoint takes ${wanted}.`, {
      hint: `Send the header content-type: ${wanted}.`,
      details: { field: "content-type" },
    });
  }
}

/**
 * The text of a body of plain JSON, at most `bytesMax` bytes, read in bounded time; empty when there is no body.
 * `DINP_TOO_LARGE`, `DINP_TIMEOUT`, `DINP_INVALID`, {@link WrongTypeError}.
 */
export async function readJsonBody({ incoming }: HttpBindings, bytesMax: number): Promise<string> {
  const body = new IncomingBody(incoming);
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort();
    body.release();
  }, JSON_TIMEOUT_MS);
  try {
    const text = await collect(body, bytesMax);
    const type = incoming.headers["content-type"];
    if (text === "" && type === undefined) return "";
    if (type === undefined || !JSON_TYPE.test(type)) throw new WrongTypeError(type, "application/json");
    parseJson(text);
    return text;
  } catch (error) {
    if (late.signal.aborted)
      throw new DinpError("DINP_TIMEOUT", "The request's body did not arrive in time.");
    throw error;
  } finally {
    clearTimeout(timer);
    body.release();
  }
}

async function collect(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) {
      const size = `${String(bytesMax / 1024 ** 2)} MiB`;
      throw new DinpError("DINP_TOO_LARGE", `The request's body is larger than ${size}.`, {
        hint: "Only builds may be large.",
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The body of an upload as it arrives, and the signal that its client has gone. */
export interface ArchiveUpload {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  /** Lets go of the request, read to its end or not. */
  readonly end: () => void;
}

/**
 * Opens the body of an upload: read piece by piece, so that a slow builder slows the client, which is told every `everyMs` that
 * its answer is still to come.
 */
export function openArchiveUpload(env: HttpBindings, everyMs: number): ArchiveUpload {
  const type = env.incoming.headers["content-type"];
  if (type === undefined || !ARCHIVE_TYPE.test(type)) throw new WrongTypeError(type, "application/gzip");
  const waiting = keepWaiting(env, everyMs);
  const body = new IncomingBody(env.incoming);
  return {
    bytes: body,
    signal: waiting.signal,
    end: () => {
      waiting.end();
      body.release();
    },
  };
}
