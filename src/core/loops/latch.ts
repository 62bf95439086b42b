import { DinpError } from "../model/errors.js";
import { onAbort } from "./abort.js";

/** Opens once, and lets through all who wait and all who come. */
export class Latch {
  readonly #opened: Promise<void>;
  #open: () => void = () => undefined;
  #isOpen = false;

  constructor() {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  /** Asked anew after a wait. */
  isOpen(): boolean {
    return this.#isOpen;
  }

  open(): void {
    this.#isOpen = true;
    this.#open();
  }

  /** Resolves when it is open; `DINP_ABORTED` when the signal aborts first. `what` is waited for, for people. */
  async wait(signal: AbortSignal, what: string): Promise<void> {
    if (this.isOpen()) return;
    let detach: () => void = () => undefined;
    const aborted = new Promise<void>((resolve) => {
      detach = onAbort(signal, resolve);
    });
    await Promise.race([this.#opened, aborted]);
    detach();
    if (!this.isOpen()) throw new DinpError("DINP_ABORTED", `The wait for ${what} was aborted.`);
  }
}
