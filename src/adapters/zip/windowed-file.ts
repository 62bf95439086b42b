import type { FileHandle } from "node:fs/promises";
import { Readable } from "node:stream";
import { RandomAccessReader } from "yauzl";
import { readRange } from "./spool.js";

const WINDOW_BYTES = 64 * 1024;

/** A part of the file that was read ahead. */
interface Window {
  readonly bytes: Buffer;
  start: number;
  length: number;
}

/**
 * A file as the zip reader wants it. Small reads come out of windows that are read ahead, for the directory and the
 * headers of a zip are many records of a few bytes, one behind the other; there are two, as both are read in turns.
 * Closing it leaves the handle open.
 */
export class WindowedFile extends RandomAccessReader {
  readonly #handle: FileHandle;
  /** The one that was used last comes first. */
  readonly #windows: Window[] = [newWindow(), newWindow()];

  constructor(handle: FileHandle) {
    super();
    this.#handle = handle;
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from(readRange(this.#handle, start, end), { objectMode: false });
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    if (this.#copy(buffer, offset, length, position)) {
      callback(null);
      return;
    }
    void this.#fill(buffer, offset, length, position).then(
      () => {
        callback(null);
      },
      (error: unknown) => {
        callback(error instanceof Error ? error : new Error(String(error)));
      },
    );
  }

  /** Fills the buffer; rejects when the file ends before. */
  async readAt(buffer: Buffer, position: number): Promise<void> {
    if (!this.#copy(buffer, 0, buffer.length, position)) await this.#fill(buffer, 0, buffer.length, position);
  }

  #copy(buffer: Buffer, offset: number, length: number, position: number): boolean {
    const window = this.#windows.find(({ start, length: held }) => {
      return position >= start && position + length <= start + held;
    });
    if (window === undefined) return false;
    if (window !== this.#windows[0]) this.#windows.reverse();
    window.bytes.copy(buffer, offset, position - window.start, position - window.start + length);
    return true;
  }

  async #fill(buffer: Buffer, offset: number, length: number, position: number): Promise<void> {
    const window = this.#windows[1];
    if (window === undefined || length > WINDOW_BYTES) {
      await this.#readFully(buffer, offset, length, position);
      return;
    }
    window.length = 0;
    const { bytesRead } = await this.#handle.read(window.bytes, 0, WINDOW_BYTES, position);
    window.start = position;
    window.length = bytesRead;
    if (!this.#copy(buffer, offset, length, position)) throw new Error("unexpected EOF");
  }

  async #readFully(buffer: Buffer, offset: number, length: number, position: number): Promise<void> {
    for (let done = 0; done < length;) {
      const { bytesRead } = await this.#handle.read(buffer, offset + done, length - done, position + done);
      if (bytesRead === 0) throw new Error("unexpected EOF");
      done += bytesRead;
    }
  }
}

function newWindow(): Window {
  return { bytes: Buffer.alloc(WINDOW_BYTES), start: 0, length: 0 };
}
