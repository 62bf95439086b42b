import type { Logger } from "@dinp/core";

/** Steps back, in reverse order; each runs once, and one that fails does not keep the others from running. */
export class Undo {
  readonly #steps: (() => Promise<void>)[] = [];
  #running: Promise<void> | null = null;

  push(step: () => Promise<void>): void {
    this.#steps.push(step);
  }

  run(logger: Logger): Promise<void> {
    this.#running ??= this.#run(logger);
    return this.#running;
  }

  async #run(logger: Logger): Promise<void> {
    for (const step of this.#steps.reverse()) {
      try {
        await step();
      } catch (error) {
        logger.error("a part did not end well", { error: String(error) });
      }
    }
  }
}
