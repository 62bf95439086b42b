import { messageOf, type Logger } from "@dinp/core";
import type { NodeKey } from "./node-key.js";

const LOOK_MS_MAX = 3_600_000;

/** Changes the node's key when it is old enough, as long as a connection lasts. */
export class KeyRotation {
  readonly #key: NodeKey;
  readonly #ageMsMax: number;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(key: NodeKey, ageMsMax: number, logger: Logger) {
    this.#key = key;
    this.#ageMsMax = ageMsMax;
    this.#logger = logger;
  }

  /** `offer` tells the server the hash of a new key. */
  start(offer: (keyHash: string) => void): void {
    if (this.#isOver) return;
    const look = (): void => {
      void this.#guard(async () => {
        const keyHash = await this.#key.dueRotation(this.#ageMsMax);
        if (keyHash !== null && !this.#isOver) offer(keyHash);
      });
    };
    this.#timer = setInterval(look, Math.max(10, Math.min(LOOK_MS_MAX, this.#ageMsMax / 4)));
    look();
  }

  confirmed(keyHash: string): void {
    void this.#guard(() => this.#key.rotated(keyHash));
  }

  stop(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
  }

  /** A key that cannot be written down now is changed later. */
  async #guard(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.#logger.warn("the node's key was not changed; it is tried again", { error: messageOf(error) });
    }
  }
}
