import { setTimeout as delay } from "node:timers/promises";
import type { StateStore } from "@dinp/core";
import type { StateStoreHarness } from "@dinp/core/testing";
import { FaultProxy } from "../oci-support/fault-proxy.js";
import { empty } from "../state-store-support/pglite.js";
import { dropDatabase, makeDatabaseOf, withPort, type SqlKind } from "./kinds.js";

const CHANGE_LOG_COMMITS = 40;

/** Stores on a real database server, each in a database of its own; the server is seen through a proxy that can cut it off. */
export class SqlBench {
  readonly #kind: SqlKind;
  readonly #adminUrl: string;
  readonly #databases: string[] = [];
  #shared: { readonly store: StateStore; readonly proxy: FaultProxy; readonly url: string } | null = null;

  constructor(kind: SqlKind, adminUrl: string) {
    this.#kind = kind;
    this.#adminUrl = adminUrl;
  }

  /** A new, empty database. */
  async newDatabase(): Promise<string> {
    const url = await makeDatabaseOf(this.#kind, this.#adminUrl);
    this.#databases.push(url);
    return url;
  }

  async harness(need: "any" | "fresh"): Promise<StateStoreHarness> {
    if (need === "fresh") return this.#freshHarness();
    this.#shared ??= await this.#open();
    const { store, proxy, url } = this.#shared;
    return { ...this.#common(proxy, url), store, reopen: null, dispose: () => empty(store) };
  }

  async dispose(): Promise<void> {
    await this.#shared?.store.close();
    await this.#shared?.proxy.close();
    for (const url of this.#databases) await dropDatabase(this.#kind, url, this.#adminUrl);
  }

  async #freshHarness(): Promise<StateStoreHarness> {
    const { store: first, proxy, url } = await this.#open();
    let store = first;
    return {
      ...this.#common(proxy, url),
      store,
      reopen: async () => {
        await store.close();
        store = this.#create(url);
        await store.open();
        return store;
      },
      dispose: async () => {
        await store.close();
        await proxy.close();
      },
    };
  }

  async #open() {
    const direct = await this.newDatabase();
    const proxy = await FaultProxy.start(Number(new URL(direct).port));
    const url = withPort(direct, proxy.port);
    const store = this.#create(url);
    await store.open();
    return { store, proxy, url };
  }

  #create(url: string): StateStore {
    return this.#kind.createStore(url, { changeLogCommits: CHANGE_LOG_COMMITS });
  }

  #common(proxy: FaultProxy, url: string) {
    return {
      commitsToReset: 2 * CHANGE_LOG_COMMITS,
      time: { now: () => performance.now(), pass: (ms: number) => delay(ms) },
      unopened: () => this.#create(url),
      outage: async () => {
        proxy.set({ kind: "refuse" });
        return async () => {
          proxy.set({ kind: "none" });
        };
      },
    };
  }
}
