import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { open, rename, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "@dinp/core";
import { isNotThere } from "./durable-files.js";
import { LINE_BYTES_MAX, LineSplitter } from "../runtime/log-text.js";

/** How much an instance's log may grow to, and how much of it is kept then. */
export interface OutputLogLimits {
  readonly maxBytes: number;
  readonly keepBytes: number;
}

const OUTPUT = "output.log";
const CHUNK_BYTES = 64 * 1024;
const TAIL_BYTES_MAX = 4 * 1024 * 1024;
const FOLLOW_POLL_MS = 100;
const LINE_FEED = 0x0a;

/** Where a reader is: an offset into the present file of a generation. */
interface Position {
  generation: number;
  offset: number;
}

/**
 * The output of one instance: a file that its processes append to, and the newest part of what was there before it was last
 * trimmed. Trimming copies and truncates (the processes keep the file open), so what is written in the very moment between is lost.
 */
export class OutputLog {
  readonly file: string;
  readonly #older: string;
  readonly #limits: OutputLogLimits;
  readonly #clock: Clock;
  /** Grows with each trim. */
  #generation = 0;
  /** Where in the generation before this one the older file begins. */
  #olderFrom = 0;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(dir: string, limits: OutputLogLimits, clock: Clock) {
    this.file = join(dir, OUTPUT);
    this.#older = join(dir, `${OUTPUT}.1`);
    this.#limits = limits;
    this.#clock = clock;
  }

  /**
   * The last lines, each cut to `charactersMax`; an unreadable log has none. Read at once and from the last 64 KB of each file only:
   * an end must not wait behind other work on the disk to be told.
   */
  tail(lines: number, charactersMax: number): readonly string[] {
    const present = readEndNow(this.file);
    const feeds = present.reduce((count, byte) => (byte === LINE_FEED ? count + 1 : count), 0);
    const bytes = feeds >= lines ? present : Buffer.concat([readEndNow(this.#older), present]);
    const splitter = new LineSplitter();
    const all = [...splitter.push(bytes), ...splitter.flush()];
    return all.slice(-lines).map((line) => line.slice(0, charactersMax));
  }

  /** The last lines and then, with `follow`, new ones until `ended` aborts; a last line without its end comes when `quiet()`. */
  async *lines(options: {
    readonly tail: number;
    readonly follow: boolean;
    readonly ended: AbortSignal;
    readonly quiet: () => boolean;
  }): AsyncGenerator<string, void, undefined> {
    const { tail, follow, ended, quiet } = options;
    const splitter = new LineSplitter();
    const { bytes, position } = await this.#readEnd(tail);
    const last = splitter.push(bytes);
    const unfinished = follow ? [] : splitter.flush();
    if (tail > 0) yield* [...last, ...unfinished].slice(-tail);
    if (!follow) return;
    for (;;) {
      // Asked before the read: what was written until the end is read after it.
      const over = ended.aborted;
      const still = quiet();
      const chunk = await this.#readNext(position);
      if (chunk.length > 0) {
        yield* splitter.push(chunk);
        continue;
      }
      if (over || still) yield* splitter.flush();
      if (over) return;
      await this.#clock.sleep(FOLLOW_POLL_MS, { signal: ended }).catch(() => undefined);
    }
  }

  /** Brings the log below its limit when it is above. */
  trim(): Promise<void> {
    return this.#alone(async () => {
      const source = await openIfThere(this.file, "r+");
      if (source === null) return;
      try {
        const { size } = await source.stat();
        if (size <= this.#limits.maxBytes) return;
        const from = size - this.#limits.keepBytes;
        await this.#keep(source, from);
        this.#olderFrom = from;
        this.#generation += 1;
      } finally {
        await source.close();
      }
    });
  }

  async #keep(source: FileHandle, from: number): Promise<void> {
    const temporary = `${this.#older}.tmp`;
    const target = await open(temporary, "w", 0o600);
    try {
      const buffer = Buffer.alloc(CHUNK_BYTES);
      // A writer that outruns the copy must not keep it going for ever.
      for (let at = from; at < from + 2 * this.#limits.keepBytes;) {
        const { bytesRead } = await source.read(buffer, 0, buffer.length, at);
        if (bytesRead === 0) break;
        await target.write(buffer, 0, bytesRead);
        at += bytesRead;
      }
      await source.truncate(0);
    } finally {
      await target.close();
    }
    await rename(temporary, this.#older);
  }

  /** The bytes that hold at least the last `lines` lines, within bounds, and the position after them. */
  #readEnd(lines: number): Promise<{ readonly bytes: Uint8Array; readonly position: Position }> {
    return this.#alone(async () => {
      const position = { generation: this.#generation, offset: 0 };
      const source = await openIfThere(this.file, "r");
      if (source === null) return { bytes: new Uint8Array(0), position };
      try {
        const { size } = await source.stat();
        position.offset = size;
        if (lines <= 0) return { bytes: new Uint8Array(0), position };
        const older = await openIfThere(this.#older, "r");
        try {
          // Only up to the position: what is written meanwhile is read from there.
          const present = { source, end: size };
          const parts =
            older === null ? [present] : [{ source: older, end: (await older.stat()).size }, present];
          return { bytes: await readLastLines(parts, lines), position };
        } finally {
          await older?.close();
        }
      } finally {
        await source.close();
      }
    });
  }

  /** The bytes that follow the position, which moves on; none when there are none now. */
  #readNext(position: Position): Promise<Uint8Array> {
    return this.#alone(async () => {
      if (position.generation < this.#generation) {
        const skipped = position.generation < this.#generation - 1;
        const at = skipped ? 0 : Math.max(0, position.offset - this.#olderFrom);
        const bytes = await readAt(this.#older, at);
        position.generation = this.#generation - 1;
        position.offset = this.#olderFrom + at + bytes.length;
        if (bytes.length > 0) return bytes;
        position.generation = this.#generation;
        position.offset = 0;
      }
      const bytes = await readAt(this.file, position.offset, () => {
        // The app truncated its own log.
        position.offset = 0;
      });
      position.offset += bytes.length;
      return bytes;
    });
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#queue.then(work, work);
    this.#queue = mine.catch(() => undefined);
    return mine;
  }
}

/** Opens the log for the instance's processes. The app's user may open it anew (`/dev/stdout`) but not replace it. */
export async function openOutput(dir: string, uid: number | null): Promise<FileHandle> {
  const output = await open(join(dir, OUTPUT), "a", 0o600);
  if (uid !== null) await output.chown(uid, uid);
  return output;
}

async function openIfThere(file: string, flags: string): Promise<FileHandle | null> {
  try {
    return await open(file, flags);
  } catch (error) {
    if (isNotThere(error)) return null;
    throw error;
  }
}

async function readAt(file: string, offset: number, onShorter?: () => void): Promise<Uint8Array> {
  const source = await openIfThere(file, "r");
  if (source === null) return new Uint8Array(0);
  try {
    const { size } = await source.stat();
    if (size === offset) return new Uint8Array(0);
    if (size < offset) {
      onShorter?.();
      return new Uint8Array(0);
    }
    return await readExactly(source, offset, Math.min(CHUNK_BYTES, size - offset));
  } finally {
    await source.close();
  }
}

async function readExactly(source: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await source.read(buffer, 0, length, offset);
  return buffer.subarray(0, bytesRead);
}

/** Reads the files up to their ends as one, backwards, until enough line feeds are in. */
async function readLastLines(
  files: readonly { readonly source: FileHandle; readonly end: number }[],
  lines: number,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const bytesMax = Math.min(TAIL_BYTES_MAX, lines * LINE_BYTES_MAX);
  let bytes = 0;
  let feeds = 0;
  for (const { source, end: from } of [...files].reverse()) {
    let end = from;
    while (end > 0 && feeds <= lines && bytes < bytesMax) {
      const length = Math.min(CHUNK_BYTES, end, bytesMax - bytes);
      end -= length;
      const piece = await readExactly(source, end, length);
      pieces.unshift(piece);
      bytes += piece.length;
      for (const byte of piece) if (byte === LINE_FEED) feeds += 1;
    }
  }
  return Buffer.concat(pieces);
}

function readEndNow(file: string): Uint8Array {
  try {
    const fd = openSync(file, "r");
    try {
      const { size } = fstatSync(fd);
      const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, size));
      return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, size - buffer.length));
    } finally {
      closeSync(fd);
    }
  } catch {
    return new Uint8Array(0);
  }
}
