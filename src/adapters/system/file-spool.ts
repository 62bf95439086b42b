import { randomBytes } from "node:crypto";
import { mkdir, open, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { DinpError, messageOf, type Spool, type SpooledBytes } from "@dinp/core";

export interface FileSpoolOptions {
  /** A folder for the files, which only this user should be able to look into; it is made when it is missing. */
  readonly dir: string;
}

/**
 * Keeps streams in files below one folder. A file has no name from its beginning on, so that its space is free again as soon as
 * it is closed or the process ends, however that ends. Errors are `DINP_UNAVAILABLE` (retryable).
 */
export function createFileSpool({ dir }: FileSpoolOptions): Spool {
  return { open: () => attempt("made", async () => new SpoolFile(await openNameless(dir))) };
}

class SpoolFile implements SpooledBytes {
  readonly #file: FileHandle;
  #size = 0;
  #closing: Promise<void> | null = null;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async append(bytes: Uint8Array): Promise<void> {
    await attempt("written", async () => {
      for (let done = 0; done < bytes.length;) {
        const at = this.#size + done;
        const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, at);
        done += bytesWritten;
      }
      this.#size += bytes.length;
    });
  }

  async read(offset: number, countMax: number): Promise<Uint8Array> {
    return await attempt("read", async () => {
      const bytes = new Uint8Array(Math.min(countMax, this.#size - offset));
      const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, offset);
      if (bytesRead === 0) throw new Error("it is shorter than what was written to it");
      return bytes.subarray(0, bytesRead);
    });
  }

  async close(): Promise<void> {
    this.#closing ??= attempt("closed", () => this.#file.close());
    await this.#closing;
  }
}

async function openNameless(dir: string): Promise<FileHandle> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, `spool-${randomBytes(8).toString("hex")}`);
  const file = await open(path, "wx+", 0o600);
  try {
    await unlink(path);
  } catch (error) {
    await file.close();
    throw error;
  }
  return file;
}

async function attempt<T>(done: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    throw new DinpError(
      "DINP_UNAVAILABLE",
      `A file for bytes set aside cannot be ${done}: ${messageOf(cause)}.`,
      {
        cause,
        retryable: true,
        hint: "See whether the disk is full, and whether the folder may be written.",
      },
    );
  }
}
