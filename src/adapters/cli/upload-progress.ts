import type { Context } from "./context.js";
import type { OpenedSource } from "./push-source.js";
import type { Output } from "./terminal.js";
import { count, formatBytes } from "./text.js";

const REDRAW_MS = 80;
const BAR_WIDTH = 28;

/** `[=========>          ]` for a share from 0 to 1. */
export function progressBar(share: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width);
  const head = filled > 0 && filled < width ? ">" : "";
  return `[${"=".repeat(filled - head.length)}${head}${" ".repeat(width - filled)}]`;
}

/**
 * Shows how far an upload is: a bar that changes in place on a terminal, nothing in between elsewhere.
 * Progress is counted in bytes of content read (`totalBytes`); what goes over the wire is compressed, and said at the end.
 */
export class UploadProgress {
  readonly #output: Output;
  readonly #now: () => number;
  readonly #startedAt: number;
  #readBytes = 0;
  #totalBytes = 0;
  #files: number | null = null;
  #sentBytes = 0;
  #drawnAt = -Infinity;
  #failure: unknown = undefined;

  constructor(output: Output, options: { readonly now: () => number }) {
    this.#output = output;
    this.#now = options.now;
    this.#startedAt = options.now();
  }

  /** Content that was read so far. */
  read(bytes: number): void {
    this.#readBytes = bytes;
    this.#draw();
  }

  /** What there is to send. */
  total(total: { readonly totalBytes: number; readonly files: number | null }): void {
    this.#totalBytes = total.totalBytes;
    this.#files = total.files;
    this.#draw();
  }

  /** What the source failed with while it was read, if it did: the upload then only knows that it broke. */
  get sourceFailure(): unknown {
    return this.#failure;
  }

  /** Passes the bytes on and counts them. */
  async *count(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of bytes) {
        this.#sentBytes += chunk.length;
        this.#draw();
        yield chunk;
      }
    } catch (error) {
      this.#failure = error;
      throw error;
    }
    this.#output.live([{ text: `Sent ${formatBytes(this.#sentBytes)}; making the image` }]);
  }

  /** Ends with one plain line. */
  done(): void {
    this.#output.clearLive();
    const files = this.#files === null ? "" : `${count(this.#files, "file")}, `;
    const size = `${formatBytes(this.#totalBytes)} as ${formatBytes(this.#sentBytes)}`;
    const seconds = ((this.#now() - this.#startedAt) / 1000).toFixed(1);
    this.#output.line(
      `Uploaded ${files}${this.#files === null ? formatBytes(this.#sentBytes) : size}, in ${seconds} s`,
    );
  }

  /** Takes the bar away without a line. */
  clear(): void {
    this.#output.clearLive();
  }

  #draw(): void {
    const now = this.#now();
    if (!this.#output.isTty || now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    const done = this.#files === null ? this.#sentBytes : this.#readBytes;
    const share = this.#totalBytes > 0 ? done / this.#totalBytes : 0;
    const percent = String(Math.floor(Math.min(1, share) * 100)).padStart(3);
    this.#output.live([
      {
        text: `Uploading ${progressBar(share, BAR_WIDTH)} ${percent} %  ${formatBytes(done)} of ${formatBytes(this.#totalBytes)}`,
      },
    ]);
  }
}

/** Opens something and sends it, with the account of that; rejects with what the source failed with, if it did. */
export async function sendWithProgress<T>(
  context: Context,
  open: (onRead: (readBytes: number) => void) => Promise<OpenedSource>,
  send: (bytes: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const progress = new UploadProgress(context.err, { now: context.now });
  try {
    const opened = await open((readBytes) => {
      progress.read(readBytes);
    });
    progress.total(opened);
    const answer = await send(progress.count(opened.bytes));
    progress.done();
    return answer;
  } catch (error) {
    throw progress.sourceFailure ?? error;
  } finally {
    progress.clear();
  }
}
