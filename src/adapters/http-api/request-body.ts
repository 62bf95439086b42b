import type { HttpBindings } from "@hono/node-server";
import { DinpError } from "@dinp/core";
import type { MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { parseJson } from "./json-guard.js";

const JSON_BYTES_MAX = 1024 * 1024;
const JSON_TIMEOUT_MS = 30_000;
const JSON_TYPE = /^application\/json\s*(?:;|$)/i;
const ARCHIVE_TYPE = /^application\/(?:gzip|x-gzip|octet-stream)\s*(?:;|$)/i;

/** Refuses bodies above 1 MiB, whether they say their length or not. */
export const jsonBodyLimit: MiddlewareHandler = bodyLimit({
  maxSize: JSON_BYTES_MAX,
  onError: () => {
    throw new DinpError("DINP_TOO_LARGE", "The request's body is larger than 1 MiB.", {
      hint: "Only builds may be large.",
    });
  },
});

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

/** Reads the whole body, in bounded time, and refuses what is not plain JSON. No body at all is left to the route. */
export const checkJsonBody: MiddlewareHandler = async (c, next) => {
  const text = await inTime(c.req.text());
  const type = c.req.header("content-type");
  if (text !== "" || type !== undefined) {
    if (type === undefined || !JSON_TYPE.test(type)) throw new WrongTypeError(type, "application/json");
    parseJson(text);
  }
  await next();
};

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new DinpError("DINP_TIMEOUT", "The request's body did not arrive in time."));
    }, JSON_TIMEOUT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A request's body as it arrives, and the signal that its client has gone. */
export interface ArchiveUpload {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  /** Lets go of the request, read to its end or not. */
  readonly end: () => Promise<void>;
}

/** Opens the body of an upload: read piece by piece, so that a slow builder slows the client. */
export function openArchiveUpload(bindings: HttpBindings, type: string | undefined): ArchiveUpload {
  if (type === undefined || !ARCHIVE_TYPE.test(type)) throw new WrongTypeError(type, "application/gzip");
  const { incoming, outgoing } = bindings;
  const gone = new AbortController();
  const onClose = (): void => {
    if (!outgoing.writableFinished) gone.abort();
  };
  outgoing.once("close", onClose);
  const iterator: AsyncIterator<Uint8Array> = incoming.iterator({ destroyOnReturn: false });
  return {
    bytes: { [Symbol.asyncIterator]: () => iterator },
    signal: gone.signal,
    end: async () => {
      outgoing.off("close", onClose);
      await iterator.return?.();
    },
  };
}
