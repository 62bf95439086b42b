import { describe, expect, it } from "vitest";
import { DinpError, type StateStore } from "@dinp/core";
import { createMemoryStateStore } from "@dinp/core/memory";
import { createSystemClock } from "@dinp/core/system";
import { watchStore } from "../../src/bin/embedded/store-watch.js";

const clock = createSystemClock();

/** A store whose `get` fails as `failure` says; null: it answers. */
function failing(
  store: StateStore,
  failure: () => DinpError | null,
): { store: StateStore; asked: () => number } {
  let asked = 0;
  const get: StateStore["get"] = (kind, key, options) => {
    asked += 1;
    const error = failure();
    return error === null ? store.get(kind, key, options) : Promise.reject(error);
  };
  return { store: Object.assign(Object.create(store) as StateStore, { get }), asked: () => asked };
}

describe("the watch over the platform's store", () => {
  it("ends with what to do when the store is broken for good, and not for what may pass", async () => {
    const store = createMemoryStateStore({ clock });
    await store.open();
    const end = new AbortController();
    let failure: DinpError | null = new DinpError("DINP_UNAVAILABLE", "the disk is full", {
      retryable: true,
    });
    const watched = failing(store, () => failure);
    let isOver = false;
    const watching = watchStore(watched.store, clock, end.signal, 1).finally(() => {
      isOver = true;
    });
    watching.catch(() => undefined);
    await expect.poll(watched.asked).toBeGreaterThan(5);
    expect(isOver).toBe(false);
    failure = new DinpError("DINP_UNAVAILABLE", "The database broke down.");
    await expect(watching).rejects.toMatchObject({
      message: "The store broke down: The database broke down.",
      hint: expect.stringContaining("start the platform again") as string,
    });
    await store.close();
    await expect(watchStore(store, clock, end.signal, 1)).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
  });

  it("ends without an error when it is told to", async () => {
    const store = createMemoryStateStore({ clock });
    await store.open();
    const end = new AbortController();
    const watching = watchStore(store, clock, end.signal, 1);
    end.abort();
    await watching;
    await store.close();
  });
});
