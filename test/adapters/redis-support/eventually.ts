import { setTimeout as delay } from "node:timers/promises";

/** Resolves when the condition is true; the test's own time is the bound. What it rejects with counts as not yet. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (;;) {
    if (
      await Promise.resolve()
        .then(condition)
        .catch(() => false)
    )
      return;
    await delay(10);
  }
}
