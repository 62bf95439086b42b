import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { StateStore } from "@dinp/core";
import { createPgliteStateStore } from "@dinp/core/pglite";
import type { StateStoreHarness } from "@dinp/core/testing";

export const CHANGE_LOG_COMMITS = 40;

/** Deletes every record. */
export async function empty(store: StateStore): Promise<void> {
  const { records } = await store.snapshot();
  if (records.length === 0) return;
  await store.commit(records.map(({ kind, key }) => ({ op: "delete", kind, key })));
}

/** Stores on disk that begin as copies of one that was made once: to make a database takes seconds. */
export class PgliteBench {
  readonly #folder: string;
  #shared: StateStore | null = null;
  #copies = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<PgliteBench> {
    const bench = new PgliteBench(await mkdtemp(join(tmpdir(), "dinp-pglite-")));
    const store = createPgliteStateStore({ dataDir: join(bench.#folder, "new") });
    await store.open();
    await store.close();
    return bench;
  }

  /** A folder with an empty store in it. */
  async newFolder(): Promise<string> {
    this.#copies += 1;
    const folder = join(this.#folder, String(this.#copies));
    await cp(join(this.#folder, "new"), folder, { recursive: true });
    return folder;
  }

  async open(dataDir: string): Promise<StateStore> {
    const store = createPgliteStateStore({ dataDir, changeLogCommits: CHANGE_LOG_COMMITS });
    await store.open();
    return store;
  }

  async harness(need: "any" | "fresh"): Promise<StateStoreHarness> {
    return need === "fresh" ? this.#freshHarness() : this.#sharedHarness();
  }

  async dispose(): Promise<void> {
    await this.#shared?.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #sharedHarness(): Promise<StateStoreHarness> {
    const store = (this.#shared ??= await this.open(await this.newFolder()));
    return { ...this.#common(), store, reopen: null, dispose: () => empty(store) };
  }

  async #freshHarness(): Promise<StateStoreHarness> {
    const folder = await this.newFolder();
    let store = await this.open(folder);
    return {
      ...this.#common(),
      store,
      reopen: async () => {
        await store.close();
        store = await this.open(folder);
        return store;
      },
      dispose: () => store.close(),
    };
  }

  #common() {
    const dataDir = join(this.#folder, "never-opened");
    return {
      commitsToReset: 2 * CHANGE_LOG_COMMITS,
      time: { now: () => performance.now(), pass: (ms: number) => delay(ms) },
      unopened: () => createPgliteStateStore({ dataDir }),
      outage: null,
    };
  }
}
