import { type Measured, measureCost } from "../lib/cost.js";
import { openBare, selectAll } from "./bare.js";
import { placementOf } from "./commits.js";
import { openStore, type StoreName } from "./places.js";

const WRITES_MAX = 1_000;

/** Milliseconds that it takes to commit so many new placements, 1,000 at once. */
export async function fill(name: StoreName, at: string, placements: number): Promise<number> {
  const store = await openStore(name, at, 1);
  try {
    const start = performance.now();
    for (let first = 0; first < placements; first += WRITES_MAX) {
      const length = Math.min(WRITES_MAX, placements - first);
      await store.commit(Array.from({ length }, (_, index) => placementOf(1_000 + first + index, 0)));
    }
    return performance.now() - start;
  } finally {
    await store.close();
  }
}

/** What a snapshot of the store takes; the value is how many records it has. */
export async function measureSnapshot(name: StoreName, at: string): Promise<Measured<number>> {
  const store = await openStore(name, at, 1);
  try {
    let records: unknown;
    const measured = await measureCost(async () => {
      const snapshot = await store.snapshot();
      records = snapshot;
      return snapshot.records.length;
    });
    // Held until it was measured.
    return records === undefined ? { ...measured, value: 0 } : measured;
  } finally {
    await store.close();
  }
}

/** What the bare driver takes for all the bytes of the same records, as one answer, and JSON.parse for making values of them. */
export async function measureSelect(name: StoreName, at: string): Promise<Measured<number>> {
  const bare = await openBare(name, name === "pglite" ? `${at}/pg` : at, 1);
  try {
    let values: readonly unknown[] = [];
    const measured = await measureCost(async () => {
      const rows = await bare.run(0, selectAll);
      values = rows.map(({ value }): unknown => (typeof value === "string" ? JSON.parse(value) : value));
      return values.length;
    });
    return values.length === 0 ? { ...measured, value: 0 } : measured;
  } finally {
    await bare.close();
  }
}
