import { createHash } from "node:crypto";
import { contentMismatch, contentNotFound } from "@dinp/core";
import { throwIfAborted, unavailable } from "./errors.js";
import type { RepositoryPlace } from "./repository-place.js";
import { backOff } from "./retry.js";
import type { Answer } from "./answer.js";

/** After this many bytes a connection that is cut counts as the first again. */
const PROGRESS_BYTES = 8 * 1024 * 1024;

export interface BlobSource extends RepositoryPlace {
  readonly digest: string;
}

/** The bytes of a blob, checked at their end; a connection that is cut is followed by another that goes on there. */
export async function* readBlob(
  source: BlobSource,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { client, repository, digest } = source;
  const hash = createHash("sha256");
  let received = 0;
  let receivedBefore = 0;
  for (let attempt = 1; ; attempt += 1) {
    try {
      for await (const chunk of readFrom(source, received, signal)) {
        hash.update(chunk);
        received += chunk.length;
        yield chunk;
        throwIfAborted(signal);
      }
      break;
    } catch (error) {
      if (received - receivedBefore >= PROGRESS_BYTES) attempt = 1;
      receivedBefore = received;
      await backOff(error, attempt, client.settings, signal);
    }
  }
  const actual = `sha256:${hash.digest("hex")}`;
  if (actual !== digest) throw contentMismatch(repository, digest, actual);
}

/** The bytes from `offset` on, over one connection. */
async function* readFrom(
  { client, repository, name, scope, digest }: BlobSource,
  offset: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const headers: Record<string, string> = offset === 0 ? {} : { range: `bytes=${String(offset)}-` };
  const answer = await client.open({
    method: "GET",
    target: `${name}/blobs/${digest}`,
    scope,
    headers,
    signal,
  });
  try {
    if (answer.status === 404) {
      await client.assertNotThere(answer, signal);
      throw contentNotFound("blob", repository, digest);
    }
    // Nothing is left after the last byte.
    if (answer.status === 416 && offset > 0) return;
    if (answer.status === 206 && offset > 0) assertStart(answer, offset);
    else if (answer.status !== 200) throw await client.failure(answer, `send a blob of ${repository}`);
    let skip = answer.status === 200 ? offset : 0;
    for await (const chunk of answer.stream()) {
      const wanted = chunk.subarray(skip);
      skip = Math.max(0, skip - chunk.length);
      if (wanted.length > 0) yield wanted;
    }
  } finally {
    await answer.discard();
  }
}

function assertStart(answer: Answer, offset: number): void {
  const start = /^bytes (\d+)-/.exec(answer.header("content-range") ?? "")?.[1];
  if (start === String(offset)) return;
  throw unavailable("The registry sends another part of a blob than was asked for.", { retryable: true });
}
