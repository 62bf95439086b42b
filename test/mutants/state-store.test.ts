import { describe, it } from "vitest";
import { stateStoreSuite, type ConformanceCase } from "@dinp/core/testing";
import { describeMatrix } from "./describe-matrix.js";
import { stateStoreMutants } from "./state-store-mutants.js";
import { brokenStore, storeHarness, type StorePort } from "./support/broken-store.js";

/**
 * Enough on a machine of any speed: these stores move on in microtasks, all of which run before a timer fires, so that
 * only what never comes is waited for.
 */
const WAIT_MS = 200;

function suite(mutate: (port: StorePort) => StorePort, waitMs?: number): readonly ConformanceCase[] {
  return stateStoreSuite(() => storeHarness(mutate), waitMs === undefined ? {} : { waitMs });
}

describeMatrix({
  port: "StateStore",
  suite: (mutate) => suite(mutate, WAIT_MS),
  unbroken: suite((port) => port),
  mutants: stateStoreMutants,
  width: 16,
});

describe("a state store that tells every commit twice, as it may", () => {
  const doubling = brokenStore("doubles", "none", (store) => ({
    async *watch(options) {
      for await (const event of store.watch(options)) {
        yield event;
        if (event.type === "commit") yield structuredClone(event);
      }
    },
  }));
  for (const { name, run } of suite(doubling.mutate)) it(name, run);
});
