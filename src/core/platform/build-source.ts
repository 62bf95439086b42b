import { fileNameInUrl, parseUploadUrl, shownUrl } from "../build/upload-url.js";
import { limits } from "../model/defaults.js";
import { DinpError } from "../model/errors.js";
import type { ByteStream } from "../ports/registry.js";
import type { UploadFetcher } from "../ports/upload-fetcher.js";
import type { BuildLog } from "./build-log.js";
import type { BuildRequest } from "./builds.js";
import type { PlatformContext } from "./context.js";
import { printable } from "./text.js";
import { Upload } from "./upload.js";

/** The code of one build: sent with the request, or fetched from a URL once it is read. */
export class BuildSource {
  /** Where it is fetched from, as it may be shown; null when it was sent. */
  readonly url: string | null;
  readonly fileName: string | undefined;
  readonly #upload: Upload;
  readonly #fetchedFrom: URL | null;
  readonly #ended = new AbortController();

  /** Reads nothing yet. `DINP_INVALID` for a URL that no upload can have. */
  constructor(
    request: BuildRequest,
    { hasher, uploads }: Pick<PlatformContext, "hasher" | "uploads">,
    log: BuildLog,
    signal: AbortSignal | undefined,
  ) {
    const bytesMax = limits.uploadBytesMax;
    if (request.url === undefined) {
      this.#fetchedFrom = null;
      this.url = null;
      this.fileName = request.fileName;
      this.#upload = new Upload(request.bytes, hasher, bytesMax);
      return;
    }
    const url = parseUploadUrl(request.url);
    const ended = this.#ended.signal;
    const bytes = uploads.fetch(url, {
      bytesMax,
      log: (line) => {
        log.add(line);
      },
      signal: signal === undefined ? ended : AbortSignal.any([ended, signal]),
    });
    this.#fetchedFrom = url;
    this.url = printable(shownUrl(url));
    this.fileName = request.fileName ?? fileNameInUrl(url);
    this.#upload = new Upload(bytes, hasher, bytesMax);
  }

  get bytes(): ByteStream {
    return this.#upload;
  }

  /** What tells this code from other code under one idempotency key. Reads what was sent to its end. */
  async identity(): Promise<{ readonly sha256: string } | { readonly url: string }> {
    return this.#fetchedFrom === null
      ? { sha256: await this.#upload.digest() }
      : { url: this.#fetchedFrom.href };
  }

  /** Lets go of what is still being fetched. What was sent is its sender's. Idempotent. */
  end(): void {
    this.#ended.abort();
  }
}

/** For a platform that was composed without a way to fetch uploads. */
export const noUploads: UploadFetcher = Object.freeze({
  fetch: () => {
    const message = "This platform was put together without a way to fetch uploads.";
    throw new DinpError("DINP_UNAVAILABLE", message, { hint: "Send the file itself: dinp push FILE." });
  },
});
