import { parentPort } from "node:worker_threads";
import { createMemoryRouteTable, createMemoryStateStore } from "@dinp/core/memory";
import { simulate } from "@dinp/core/testing";

interface Order {
  readonly seed: number;
  readonly isTraced: boolean;
}

/** Runs the seeds that it is sent, one after the other, and sends the reports back. */
parentPort?.on("message", (order: Order) => {
  void run(order);
});

async function run({ seed, isTraced }: Order): Promise<void> {
  // Faults are errors here, by the million, and nobody reads their stacks.
  Error.stackTraceLimit = isTraced ? 10 : 0;
  const report = await simulate({
    seed,
    backends: { createStateStore: createMemoryStateStore, createRouteTable: createMemoryRouteTable },
    ...(isTraced
      ? {
          onLine: (line) => {
            parentPort?.postMessage({ line });
          },
        }
      : {}),
  });
  parentPort?.postMessage({ report });
}
