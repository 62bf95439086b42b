import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import type { HostileRequest } from "./http-api-requests.js";

export interface HeadAndText {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

const ANSWER_MS = 5_000;
/** Streams go on: their first bytes are enough. */
const STREAM_BYTES = 1;

/** Sends the request as it is; rejects when no answer comes in time. */
export function sendRaw(url: string, secret: string, request: HostileRequest): Promise<HeadAndText> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      new URL(url),
      {
        method: request.method,
        path: request.target,
        headers: {
          authorization: `Bearer ${secret}`,
          ...request.headers,
          // Node frames no body of a DELETE by itself.
          ...(request.body === undefined ? {} : { "content-length": Buffer.byteLength(request.body) }),
        },
        agent: false,
        timeout: ANSWER_MS,
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        const done = (): void => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text });
          outgoing.destroy();
        };
        const isStream = incoming.headers["content-type"] === "application/x-ndjson";
        incoming.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          if (isStream && chunk.length >= STREAM_BYTES) done();
        });
        incoming.on("end", done);
        incoming.on("error", reject);
        if (isStream) done();
      },
    );
    outgoing.on("timeout", () => {
      reject(new Error(`no answer within ${String(ANSWER_MS)} ms`));
      outgoing.destroy();
    });
    outgoing.on("error", reject);
    outgoing.end(request.body);
  });
}
