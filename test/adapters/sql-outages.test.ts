import { afterAll, beforeAll, expect, it } from "vitest";
import { isDinpError, type StateStore, type Write } from "@dinp/core";
import { describeWithServices } from "../support/services.js";
import { DatabaseProcess } from "./sql-support/database-process.js";
import { makeDatabaseOf, sqlKinds, type StoreOptions } from "./sql-support/kinds.js";
import { until } from "./support/until.js";

/** Soon over for a server that stands still, and long enough for one on a busy machine. */
const BOUNDS: StoreOptions = { connectMs: 8_000, waitMs: 8_000, statementMs: 8_000, pollMs: 50 };
const KILLS = 2;

const put = (key: string, value = ""): Write => ({ op: "put", kind: "setting", value: { key, value } });

/** What came of calls that were made one after the other until they were told to stop. */
class Caller {
  readonly succeeded: string[] = [];
  readonly failed: { readonly id: string; readonly code: string }[] = [];
  readonly #ended: Promise<void>;
  #isStopped = false;

  constructor(name: string, call: (id: string) => Promise<unknown>) {
    this.#ended = this.#run(name, call);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#ended;
  }

  async #run(name: string, call: (id: string) => Promise<unknown>): Promise<void> {
    for (let count = 0; !this.#isStopped; count += 1) {
      const id = `${name}-${String(count)}`;
      try {
        await call(id);
        this.succeeded.push(id);
      } catch (error) {
        if (!isDinpError(error)) throw error;
        this.failed.push({ id, code: error.code });
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

/** Every operation of a store, each called over and over again. */
function callAll(store: StateStore): Readonly<Record<string, Caller>> {
  const commit = (id: string): Promise<unknown> => store.commit([put(id), put("same", id)]);
  const watch = async (): Promise<void> => {
    const { revision } = await store.snapshot({ kinds: [] });
    const controller = new AbortController();
    for await (const event of store.watch({ after: revision, signal: controller.signal }))
      if (event.type === "commit") controller.abort();
  };
  const list = async (): Promise<void> => {
    const keys: string[] = [];
    for await (const { key } of store.list("setting", { limit: 10 })) keys.push(key);
    if (keys.length === 0) throw new Error("A list was empty that is not.");
  };
  return {
    commitA: new Caller("a", commit),
    commitB: new Caller("b", commit),
    snapshot: new Caller("snapshot", () => store.snapshot()),
    get: new Caller("get", () => store.get("setting", "same")),
    list: new Caller("list", list),
    watch: new Caller("watch", watch),
    lease: new Caller("lease", () => store.tryAcquireLease({ name: "leader", holder: "one", ttlMs: 60_000 })),
  };
}

async function assertKept(store: StateStore, callers: readonly Caller[]): Promise<void> {
  const keys = new Set((await store.snapshot()).records.map(({ key }) => key));
  const commits = callers.filter(({ succeeded }) => succeeded.some((id) => /^[ab]-/.test(id)));
  expect(commits.flatMap(({ succeeded }) => succeeded).filter((id) => !keys.has(id))).toEqual([]);
  const refused = commits.flatMap(({ failed }) =>
    failed.filter(({ code }) => code !== "DINP_COMMIT_UNKNOWN"),
  );
  expect(refused.filter(({ id }) => keys.has(id))).toEqual([]);
}

for (const kind of sqlKinds) {
  const { name } = kind.server;
  describeWithServices([name], `${name} state store: outages`, () => {
    let server: DatabaseProcess;

    beforeAll(async () => {
      server = await DatabaseProcess.start(kind.server);
    }, 180_000);
    afterAll(() => server[Symbol.asyncDispose]());

    async function withStore(body: (store: StateStore) => Promise<void>): Promise<void> {
      const store = kind.createStore(await makeDatabaseOf(kind, server.url), BOUNDS);
      try {
        await store.open();
        await store.commit([put("same")]);
        await body(store);
      } finally {
        await store.close();
      }
    }

    /** Breaks the server in the middle of every operation, and mends it again. */
    async function tryOutage(store: StateStore, breakIt: () => Promise<void>, mendIt: () => Promise<void>) {
      const named = callAll(store);
      const callers = Object.values(named);
      const isEach = (wanted: (caller: Caller) => boolean): boolean => callers.every(wanted);
      await until(() => isEach(({ succeeded }) => succeeded.length > 0), "one success of each", 120_000);
      await breakIt();
      await until(() => isEach(({ failed }) => failed.length > 0), "one failure of each", 120_000);
      const before = callers.map(({ succeeded }) => succeeded.length);
      await mendIt();
      await until(
        () => callers.every(({ succeeded }, index) => succeeded.length > (before[index] ?? 0)),
        "a success of each after the outage",
        120_000,
      );
      // The watch first: it ends with a commit of the others.
      await named["watch"]?.stop();
      await Promise.all(callers.map((caller) => caller.stop()));
      for (const [operation, { failed }] of Object.entries(named)) {
        const allowed = /^commit/.test(operation)
          ? /^DINP_(UNAVAILABLE|COMMIT_UNKNOWN)$/
          : /^DINP_UNAVAILABLE$/;
        for (const { code } of failed) expect(code, operation).toMatch(allowed);
      }
      await assertKept(store, callers);
    }

    it("73 needs no more rights than the documentation asks for, and says so when the server takes no writes", async () => {
      const adminUrl = server.url;
      const database = await makeDatabaseOf(kind, adminUrl);
      const store = kind.createStore(await kind.makeUser(adminUrl, database));
      try {
        await store.open();
        const { revision } = await store.commit([put("a")]);
        await kind.setReadOnly(adminUrl, database, true);
        for (const call of [
          () => store.commit([put("b")]),
          () => store.tryAcquireLease({ name: "leader", holder: "one", ttlMs: 60_000 }),
        ]) {
          await expect(call()).rejects.toMatchObject({
            code: "DINP_UNAVAILABLE",
            retryable: true,
            hint: expect.stringMatching(/read-only replica/),
          });
        }
        expect((await store.snapshot()).revision).toBe(revision);
        await kind.setReadOnly(adminUrl, database, false);
        expect((await store.commit([put("b")])).revision).toBe(revision + 1);
      } finally {
        await kind.setReadOnly(adminUrl, database, false);
        await store.close();
      }
    });

    it("loses nothing that it acknowledged when the server is killed, and goes on when it is back", async () => {
      for (let round = 0; round < KILLS; round += 1) {
        await withStore((store) =>
          tryOutage(
            store,
            () => server.kill(),
            () => server.restart(),
          ),
        );
      }
    }, 600_000);

    it("ends every operation in bounded time when the server stands still, and goes on after it", async () => {
      await withStore((store) =>
        tryOutage(
          store,
          () => server.pause(),
          () => server.resume(),
        ),
      );
    }, 600_000);
  });
}
