const KEPT_MS = 3_600_000;
const KEPT_MAX = 100_000;

/**
 * Blobs that somebody wrote, mounted or asked for within the last hour and may be about to name in a manifest. Only in
 * memory: a push does not outlive its process.
 */
export class RecentBlobs {
  readonly #seenAt = new Map<string, number>();

  note(folder: string, hex: string): void {
    const key = `${folder} ${hex}`;
    this.#seenAt.delete(key);
    this.#seenAt.set(key, performance.now());
    for (const [oldest, at] of this.#seenAt) {
      if (this.#seenAt.size <= KEPT_MAX && performance.now() - at < KEPT_MS) break;
      this.#seenAt.delete(oldest);
    }
  }

  has(folder: string, hex: string): boolean {
    const at = this.#seenAt.get(`${folder} ${hex}`);
    return at !== undefined && performance.now() - at < KEPT_MS;
  }
}
