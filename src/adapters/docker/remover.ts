import { setTimeout as delay } from "node:timers/promises";
import { DinpError } from "@dinp/core";
import type { Engine } from "./engine.js";
import { isRefusal } from "./engine-refusal.js";

const GONE_MS_MAX = 30_000;
const POLL_MS = 50;

/** Removes containers, running or not, with their files. */
export class Remover {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Resolves when it is gone. */
  async remove(containerId: string): Promise<void> {
    const giveUpAt = performance.now() + GONE_MS_MAX;
    for (;;) {
      try {
        await this.#engine.ask("DELETE", `/containers/${containerId}`, {
          query: { force: "true", v: "true" },
        });
        return;
      } catch (error) {
        if (isRefusal(error, 404)) return;
        // Somebody removes it already.
        if (!isRefusal(error, 409)) throw error;
      }
      if (performance.now() > giveUpAt)
        throw new DinpError("DINP_UNAVAILABLE", "The engine does not remove the container.", {
          retryable: true,
        });
      await delay(POLL_MS);
    }
  }
}
