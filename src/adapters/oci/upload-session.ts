import { contentMismatch, type DinpError } from "@dinp/core";
import { unavailable } from "./errors.js";
import type { BlobReading } from "./blob-reading.js";
import type { RepositoryPlace } from "./repository-place.js";
import { backOff, isTransient } from "./retry.js";
import type { Answer } from "./answer.js";

const ABANDON_MS_MAX = 5_000;

/** An upload that broke, and may go on where the registry says that it stands. */
export class UploadBroken extends Error {
  /** What a caller hears when that cannot be done. */
  readonly reason: DinpError;

  constructor(reason: DinpError) {
    super("The upload broke.", { cause: reason });
    this.reason = reason;
  }
}

/** The registry no longer knows an upload, or may have other bytes of it than were sent: it can only be begun anew. */
export class UploadLost extends UploadBroken {
  constructor(repository: string, reason?: DinpError) {
    const message = `The registry lost the beginning of an upload to ${repository}.`;
    super(reason ?? unavailable(message, { retryable: true, hint: "Write the blob again." }));
  }
}

/** One upload of a blob, as the registry knows it (distribution-spec 1.1, "Pushing a blob in chunks"). */
export class UploadSession {
  readonly #place: RepositoryPlace;
  readonly #signal: AbortSignal | undefined;
  #location: URL;

  private constructor(place: RepositoryPlace, location: URL, signal: AbortSignal | undefined) {
    this.#place = place;
    this.#location = location;
    this.#signal = signal;
  }

  static async open(place: RepositoryPlace, signal: AbortSignal): Promise<UploadSession> {
    const { client, name, scope } = place;
    const request = { method: "POST", target: `${name}/blobs/uploads/`, scope, signal } as const;
    return await client.call(request, async (answer) => {
      if (answer.status === 202) return UploadSession.of(place, answer, signal);
      throw await client.failure(answer, `begin an upload to ${place.repository}`);
    });
  }

  /** The session that an answer of status 202 speaks of. */
  static of(place: RepositoryPlace, answer: Answer, signal: AbortSignal | undefined): UploadSession {
    const minimum = Number(answer.header("oci-chunk-min-length") ?? 0);
    if (minimum > place.client.settings.limits.chunkBytes) {
      throw unavailable(`The registry takes parts of at least ${String(minimum)} bytes only.`, {
        hint: "Raise the limit chunkBytes of this client to that.",
      });
    }
    return new UploadSession(place, locationOf(place, answer), signal);
  }

  /** Sends the next bytes of a reading, at most `count`, as they come. {@link UploadBroken}, {@link UploadLost}. */
  async send(reading: BlobReading, count: number): Promise<void> {
    const { repository } = this.#place;
    const before = reading.offset;
    try {
      const position = await this.#patch(reading.take(count));
      if (position !== null && position !== reading.offset) throw this.#elsewhere(position);
      // An answer before the end of what it answers; nothing else tells how much was taken.
      if (reading.offset < before + count && (await reading.hasMore())) throw new UploadLost(repository);
    } catch (error) {
      throw isTransient(error) ? new UploadBroken(error) : error;
    }
  }

  /**
   * Ends the upload, with its last bytes if there are any: the blob is there under its digest, or nothing of it.
   * {@link UploadLost}.
   */
  async commit(digest: string, bytes: Uint8Array): Promise<void> {
    const { settings } = this.#place.client;
    for (let attempt = 1; ; attempt += 1) {
      try {
        if (await this.#put(digest, bytes)) return;
        // The answer to an earlier attempt may have been lost: then the upload is gone because the blob is there.
        if (await this.#isStored(digest)) return;
        throw new UploadLost(this.#place.repository);
      } catch (error) {
        // Sending bytes again could add them to those that arrived.
        if (isTransient(error) && bytes.length > 0) throw new UploadLost(this.#place.repository, error);
        await backOff(error, attempt, settings, this.#signal);
      }
    }
  }

  /** Has the registry forget the upload, in the background: best effort, one attempt. */
  abandon(): void {
    const { client, scope } = this.#place;
    const signal = AbortSignal.timeout(ABANDON_MS_MAX);
    const request = { method: "DELETE", target: this.#location, scope, signal } as const;
    client.later(() => client.once(request, () => Promise.resolve()));
  }

  /** False when the registry does not know the upload. */
  async #put(digest: string, body: Uint8Array): Promise<boolean> {
    const { client, repository, scope } = this.#place;
    const target = new URL(this.#location);
    target.searchParams.set("digest", digest);
    const headers = { "content-type": "application/octet-stream" };
    const request = { method: "PUT", target, scope, headers, body, signal: this.#signal } as const;
    return await client.once(request, async (answer) => {
      if (answer.status === 404) return false;
      if (answer.status !== 201 && answer.status !== 204) {
        const error = await client.failure(answer, `store a blob in ${repository}`);
        // It has other bytes than were sent, such as a part twice.
        if (error.message.includes("DIGEST_INVALID")) throw new UploadLost(repository);
        throw error;
      }
      assertDigest(repository, digest, answer);
      return true;
    });
  }

  async #isStored(digest: string): Promise<boolean> {
    const { client, name, scope } = this.#place;
    const request = {
      method: "HEAD",
      target: `${name}/blobs/${digest}`,
      scope,
      signal: this.#signal,
    } as const;
    return await client.once(request, (answer) => Promise.resolve(answer.status === 200));
  }

  /** Sends bytes; gives the offset that the registry says that it is at then, null when it says none. */
  async #patch(body: AsyncIterable<Uint8Array>): Promise<number | null> {
    const { client, repository, scope } = this.#place;
    const headers = { "content-type": "application/octet-stream" };
    const target = this.#location;
    const request = { method: "PATCH", target, scope, headers, body, signal: this.#signal } as const;
    return await client.once(request, async (answer) => {
      if (answer.status === 404) throw new UploadLost(repository);
      if (answer.status === 416) throw this.#elsewhere(positionOf(answer));
      // Amazon's says 201.
      if (answer.status !== 202 && answer.status !== 204 && answer.status !== 201) {
        throw await client.failure(answer, `take a part of a blob for ${repository}`);
      }
      this.#location = locationOf(this.#place, answer, this.#location);
      return positionOf(answer);
    });
  }

  /** The registry is at another place than this client believes, and says at which when it is asked. */
  #elsewhere(position: number | null): DinpError {
    const at = position === null ? "another place" : `byte ${String(position)}`;
    return unavailable(`The registry is at ${at} of an upload.`, { retryable: true });
  }

  /** Asks how many bytes of the upload the registry has. {@link UploadLost}. */
  async position(): Promise<number> {
    const { client, repository, scope } = this.#place;
    const request = { method: "GET", target: this.#location, scope, signal: this.#signal } as const;
    return await client.call(request, async (answer) => {
      if (answer.status === 404 || answer.status === 400) throw new UploadLost(this.#place.repository);
      if (answer.status !== 204 && answer.status !== 202 && answer.status !== 200) {
        throw await client.failure(answer, `say how far an upload to ${repository} came`);
      }
      this.#location = locationOf(this.#place, answer, this.#location);
      const position = positionOf(answer);
      // "0-0" stands for one byte and for none.
      if (position === null || position === 1) throw new UploadLost(this.#place.repository);
      return position;
    });
  }
}

/** `DINP_DIGEST_MISMATCH` when the registry says that it stored another digest than this. */
export function assertDigest(repository: string, digest: string, answer: Answer): void {
  const stored = answer.header("docker-content-digest");
  if (stored !== null && stored !== digest) throw contentMismatch(repository, digest, stored);
}

function locationOf({ client }: RepositoryPlace, answer: Answer, before?: URL): URL {
  const location = answer.header("location");
  if (location !== null) return client.transport.resolveLocation(location, answer.url);
  if (before !== undefined) return before;
  throw unavailable(`The registry ${answer.url.host} begins an upload without saying where.`);
}

/** The offset after a `Range: 0-END` (inclusive); null without one. */
function positionOf(answer: Answer): number | null {
  const end = /^(?:bytes=)?0-(\d{1,15})$/.exec(answer.header("range") ?? "")?.[1];
  return end === undefined ? null : Number(end) + 1;
}
