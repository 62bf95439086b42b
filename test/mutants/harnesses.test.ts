import { EventEmitter, once } from "node:events";
import { createMemoryRegistry } from "@dinp/core/memory";
import { createNodeHasher, createSystemClock } from "@dinp/core/system";
import {
  forwarderSuite,
  registrySuite,
  stateStoreSuite,
  type ConformanceCase,
  type RegistryUnderTest,
} from "@dinp/core/testing";
import { describe, expect, it, vi } from "vitest";
import { brokenStore, storeHarness } from "./support/broken-store.js";

/** The case of this name, or the first one. */
function caseOf(cases: readonly ConformanceCase[], name?: string): ConformanceCase {
  const found = cases.find((each) => name === undefined || each.name === name);
  if (found === undefined) throw new TypeError(`There is no case ${String(name)}.`);
  return found;
}

function registryUnderTest(dispose = (): Promise<void> => Promise.resolve()): RegistryUnderTest {
  return {
    registry: createMemoryRegistry({ hasher: createNodeHasher(), clock: createSystemClock() }),
    dispose,
  };
}

describe("a suite whose harness is not as it says", () => {
  it.each([
    ["damages", "a damaged blob is not believed", "damage"],
    ["mends", "writing a damaged blob again mends it", "damage"],
    ["cuts", "a registry that cannot tell rejects: it never says that nothing is there", "cut"],
  ])("a registry that %s, without the means: the case fails and names it", async (option, name, means) => {
    const suite = registrySuite({ create: () => Promise.resolve(registryUnderTest()), [option]: true });
    await expect(caseOf(suite, name).run()).rejects.toThrow(`no \`${means}\``);
  });

  it("a subject that comes too late is disposed of", async () => {
    const dispose = vi.fn(() => Promise.resolve());
    const created = new EventEmitter();
    const create = async (): Promise<RegistryUnderTest> => {
      await once(created, "now");
      return registryUnderTest(dispose);
    };
    const suite = registrySuite({ create, waitMs: 20 });
    await expect(caseOf(suite).run()).rejects.toThrow("Waited in vain for what the case needs.");
    created.emit("now");
    await expect.poll(() => dispose.mock.calls.length).toBe(1);
  });

  it("a forwarder that cannot be made leaves no server of the suite behind", async () => {
    const suite = forwarderSuite({ create: () => Promise.reject(new Error("no forwarder")) });
    const servers = (): number =>
      process.getActiveResourcesInfo().filter((name) => name === "TCPServerWrap").length;
    const before = servers();
    await expect(caseOf(suite).run()).rejects.toThrow("no forwarder");
    await expect.poll(servers).toBe(before);
  });

  it("a store that never answers: fails in time", async () => {
    const hanging = brokenStore("hanging", "none", () => ({ commit: () => new Promise(() => undefined) }));
    const suite = stateStoreSuite(() => storeHarness(hanging.mutate), { waitMs: 100 });
    const { run } = caseOf(suite, "a write without ifRevision is unconditional");
    await expect(run()).rejects.toThrow("Waited in vain for the end of the case");
  });

  it.each([
    "changing what went in or came out changes nothing in the store",
    "a watch of some kinds has only their changes",
  ])("a store whose watches say nothing: fails in time: %s", async (name) => {
    const silent = brokenStore("silent", "none", () => ({
      async *watch({ signal }) {
        await new Promise((resolve) => {
          signal.addEventListener("abort", resolve);
        });
        yield* [];
      },
    }));
    const suite = stateStoreSuite(() => storeHarness(silent.mutate), { waitMs: 1_000 });
    await expect(caseOf(suite, name).run()).rejects.toThrow("Waited in vain for the next event");
  });
});
