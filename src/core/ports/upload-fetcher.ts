import type { ByteStream } from "./registry.js";

/** Fetches uploads that users name by URL. */
export interface UploadFetcher {
  /**
   * What an http(s) URL leads to, byte for byte, as a stream that is read once. Nothing is asked for before the first read;
   * leaving the stream, its end and the signal end the connection. Nothing that identifies the platform or its user is sent.
   *
   * The URL is a user's, so every place that it leads to is checked before it is connected to, redirects like the first:
   * `DINP_FORBIDDEN` for an address that uploads may not come from, `DINP_INVALID` for a URL that is none, an unknown host
   * or an answer that is no success, `DINP_TOO_LARGE` beyond `bytesMax`, `DINP_TIMEOUT`, `DINP_UNAVAILABLE` (what may
   * mend itself is retryable), `DINP_ABORTED`. No error and no line of `log` has the query of a URL.
   */
  fetch(
    url: URL,
    options: {
      readonly bytesMax: number;
      /** Is told which places are asked, a line each. */
      readonly log?: (line: string) => void;
      readonly signal?: AbortSignal;
    },
  ): ByteStream;
}
