import { messageOf } from "../model/errors.js";
import type { ImageRef } from "../model/records.js";
import type { Runtime } from "../ports/runtime.js";
import type { Clock, Logger } from "../ports/system.js";
import { isAborted } from "./abort.js";
import { Wakeup } from "./wakeup.js";

export interface NodeImagesOptions {
  readonly runtime: Pick<Runtime, "expectImage" | "prepareImage" | "pruneImages">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** An image that was asked for this lately is kept, whatever the server says. Default 24 hours. */
  readonly graceMs?: number;
}

/** Images that wait to be fetched before anybody needs them: what comes beyond is fetched when needed. */
const AHEAD_WAITING_MAX = 8;

/**
 * A node's images: fetches what will probably be needed, and drops those that neither the server's newest list nor an instance nor the last day asks for. An app that
 * is stopped for the night is started again without a fetch.
 */
export class NodeImages {
  readonly #options: NodeImagesOptions;
  readonly #graceMs: number;
  readonly #news = new Wakeup();
  /** When each was last asked for, by the monotonic clock; forgotten when its grace is over. */
  readonly #asked = new Map<string, { readonly image: ImageRef; readonly at: number }>();
  #wanted: readonly ImageRef[] | null = null;
  /** To be fetched ahead, the oldest first. */
  readonly #ahead: ImageRef[] = [];
  #fetching: Promise<void> | null = null;
  /** While it runs. */
  #working: AbortSignal | null = null;

  constructor(options: NodeImagesOptions) {
    this.#options = options;
    this.#graceMs = options.graceMs ?? 24 * 3_600_000;
  }

  /** It is about to be used. */
  noteAsked(image: ImageRef): void {
    this.#asked.set(`${image.repository}@${image.digest}`, { image, at: this.#options.clock.monotonicMs() });
  }

  /** What the server wants kept now. */
  keepOnly(images: readonly ImageRef[]): void {
    this.#wanted = images;
    this.#news.wake();
  }

  /** It will probably be used soon; null: it is being built. */
  expect(image: ImageRef | null): void {
    if (image === null) {
      this.#expectAny();
      return;
    }
    if (this.#ahead.length >= AHEAD_WAITING_MAX) return;
    this.#ahead.push(image);
    this.#fetchAhead();
  }

  #expectAny(): void {
    if (this.#working?.aborted !== false) return;
    try {
      this.#options.runtime.expectImage?.();
    } catch (error) {
      this.#options.logger.debug("nothing was made ready for an image", { error: messageOf(error) });
    }
  }

  /** Works until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    this.#working = signal;
    this.#fetchAhead();
    await this.#prune(signal);
    await this.#fetching;
  }

  /** One at a time: instances that are to be started come first. */
  #fetchAhead(): void {
    const signal = this.#working;
    if (signal?.aborted !== false || this.#fetching !== null) return;
    const image = this.#ahead.shift();
    if (image === undefined) return;
    this.#fetching = this.#fetch(image, signal).finally(() => {
      this.#fetching = null;
      this.#fetchAhead();
    });
  }

  /** Never rejects: whoever needs the image fetches it then, and tells of what fails. */
  async #fetch(image: ImageRef, signal: AbortSignal): Promise<void> {
    this.noteAsked(image);
    try {
      await this.#options.runtime.prepareImage(image, { signal });
    } catch (error) {
      const why = { image: image.digest, error: messageOf(error) };
      this.#options.logger.debug("an image could not be fetched ahead", why);
    }
  }

  /** Prunes once for each list, the newest, until the signal aborts. What fails is left for the next list. */
  async #prune(signal: AbortSignal): Promise<void> {
    const { clock, runtime, logger } = this.#options;
    while (!isAborted(signal)) {
      const wanted = this.#wanted;
      this.#wanted = null;
      if (wanted === null) {
        await this.#news.wait(clock, null, signal);
        continue;
      }
      try {
        await runtime.pruneImages([...wanted, ...this.#askedLately()]);
      } catch (error) {
        logger.warn("images that nothing needs could not be removed", { error: messageOf(error) });
      }
    }
  }

  #askedLately(): ImageRef[] {
    const since = this.#options.clock.monotonicMs() - this.#graceMs;
    for (const [key, { at }] of this.#asked) if (at < since) this.#asked.delete(key);
    return [...this.#asked.values()].map(({ image }) => image);
  }
}
