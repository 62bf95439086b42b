import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";

const FIELDS = [
  "content-type",
  "content-length",
  "etag",
  "x-request-id",
  "retry-after",
  "allow",
  "cache-control",
] as const;

/**
 * Passes an answer of the API on to the page, as fast as the page takes it. Resolves when it has ended, whole or not; an answer that
 * breaks off breaks off for the page too. Nothing sent or taken for `idleMs` is such an end.
 */
export function passAnswer(answer: IncomingMessage, response: ServerResponse, idleMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = (): void => {
      answer.destroy();
      response.destroy();
    };
    let timer = setTimeout(cut, idleMs);
    const moved = (): void => {
      clearTimeout(timer);
      timer = setTimeout(cut, idleMs);
    };
    response.on("drain", () => {
      moved();
      answer.resume();
    });
    response.once("close", () => {
      clearTimeout(timer);
      answer.destroy();
      resolve();
    });
    answer.once("close", () => {
      if (!answer.complete) response.destroy();
    });
    response.writeHead(answer.statusCode ?? 502, fieldsOf(answer));
    response.flushHeaders();
    answer.on("data", (chunk: Buffer) => {
      moved();
      if (!response.write(chunk)) answer.pause();
    });
    answer.once("end", () => {
      response.end();
    });
  });
}

function fieldsOf({ headers }: IncomingMessage): OutgoingHttpHeaders {
  const kept: OutgoingHttpHeaders = {};
  for (const name of FIELDS) {
    const value = headers[name];
    if (typeof value === "string") kept[name] = value;
  }
  return kept;
}
