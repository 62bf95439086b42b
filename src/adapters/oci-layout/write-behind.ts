import type { FileHandle } from "node:fs/promises";

const WAITING_BYTES_MAX = 1024 * 1024;
const UNSYNCED_BYTES_MAX = 32 * 1024 * 1024;

/** Fills a file from its beginning while its caller goes on making the bytes: the disk is at work all the time. */
export class WriteBehind {
  readonly #handle: FileHandle;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #unsyncedBytes = 0;
  #writing: Promise<void> | null = null;
  #syncing: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /**
   * Adds bytes, which must not change any more. What failed comes out of this call or a later one, at the latest of
   * {@link WriteBehind.sync}.
   */
  async write(bytes: Uint8Array): Promise<void> {
    this.#throwFailure();
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#writing ??= this.#writeWaiting();
    if (this.#waitingBytes > WAITING_BYTES_MAX) await this.#writing;
    this.#throwFailure();
  }

  /** Resolves when all that was added is on disk. */
  async sync(): Promise<void> {
    await this.settle();
    this.#throwFailure();
    await this.#handle.sync();
  }

  /** Resolves when nothing is being written any more. */
  async settle(): Promise<void> {
    await this.#writing;
    await this.#syncing;
  }

  /** Writes until nothing waits or something fails. */
  async #writeWaiting(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting;
        this.#waiting = [];
        this.#waitingBytes = 0;
        await this.#writeBatch(batch);
      }
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      this.#writing = null;
    }
  }

  async #writeBatch(batch: readonly Uint8Array[]): Promise<void> {
    for (let rest = batch; rest.length > 0;) {
      const { bytesWritten } = await this.#handle.writev(rest);
      rest = withoutFirst(rest, bytesWritten);
      this.#unsyncedBytes += bytesWritten;
    }
    if (this.#unsyncedBytes < UNSYNCED_BYTES_MAX) return;
    this.#syncing ??= this.#syncEarly();
  }

  /** An error that this sees is not reported by a later sync again (fsync(2)), so it is kept. */
  async #syncEarly(): Promise<void> {
    this.#unsyncedBytes = 0;
    try {
      await this.#handle.datasync();
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      this.#syncing = null;
    }
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}

/** The pieces that are left when the first `count` bytes are gone. */
function withoutFirst(pieces: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let left = count;
  const first = pieces.findIndex((piece) => {
    if (piece.length > left) return true;
    left -= piece.length;
    return false;
  });
  if (first === -1) return [];
  return pieces.slice(first).map((piece, i) => (i === 0 ? piece.subarray(left) : piece));
}
