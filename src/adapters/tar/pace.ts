/** A call that took longer waited for a disk or a network: such waits are better had side by side. */
const SLOW_MS = 1;
/** Calls after a slow one that are not tried in place. */
const SLOW_CALLS = 32;
/** After so long everything else that waits gets its turn. */
const TURN_MS = 10;

/**
 * Calls of the file system in place where it answers from memory, which is several times quicker for small files than asking
 * other threads; and by those threads where it lets wait.
 */
export class Pace {
  #slowCalls = 0;
  #turnBegan = performance.now();

  /** The result of `inPlace`, or of `elsewhere`, which must do the same; most often without a wait. */
  call<T>(inPlace: () => T, elsewhere: () => Promise<T>): T | Promise<T> {
    if (this.#slowCalls > 0) {
      this.#slowCalls -= 1;
      return elsewhere();
    }
    const began = performance.now();
    const result = inPlace();
    const ended = performance.now();
    if (ended - began > SLOW_MS) this.#slowCalls = SLOW_CALLS;
    return ended - this.#turnBegan > TURN_MS ? this.#afterTurn(result) : result;
  }

  async #afterTurn<T>(result: T): Promise<T> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#turnBegan = performance.now();
    return result;
  }
}
