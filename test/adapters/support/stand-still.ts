import { setImmediate as nextTurn } from "node:timers/promises";

/** Lets what was begun be sent; then nothing of this process goes on for so long, as when it is stopped. */
export async function standStill(ms: number): Promise<void> {
  await nextTurn();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
