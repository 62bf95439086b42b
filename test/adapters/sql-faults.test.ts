import { createServer, type AddressInfo, type Socket } from "node:net";
import { afterAll, afterEach, expect, it } from "vitest";
import { isDinpError, type DinpError, type StateStore, type Write } from "@dinp/core";
import { describeWithServices } from "../support/services.js";
import { CommitProxy } from "./sql-support/commit-proxy.js";
import { sqlKinds, withPort, type StoreOptions } from "./sql-support/kinds.js";
import { SqlBench } from "./sql-support/sql-bench.js";
import { standStill } from "./support/stand-still.js";
import { until } from "./support/until.js";

const put = (key: string, value = ""): Write => ({ op: "put", kind: "setting", value: { key, value } });

async function failureOf(call: Promise<unknown>): Promise<DinpError> {
  const error: unknown = await call.then(
    () => new Error("It did not fail."),
    (reason: unknown) => reason,
  );
  if (!isDinpError(error)) throw error;
  return error;
}

/** All that a log could print of an error. */
function printed(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = Object.entries(error).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return [error.message, error.stack, ...own, error.cause === undefined ? "" : printed(error.cause)].join(
    "\n",
  );
}

for (const kind of sqlKinds) {
  const { name } = kind.server;
  describeWithServices([name], `${name} state store: faults`, (places) => {
    const bench = new SqlBench(kind, Object.values<string>(places)[0] ?? "");
    const closing: (() => Promise<void>)[] = [];

    afterEach(async () => {
      for (const close of closing.splice(0).reverse()) await close();
    });
    // Each database that is dropped waits for the disk.
    afterAll(() => bench.dispose(), 120_000);

    async function open(url: string, options: StoreOptions = {}): Promise<StateStore> {
      const store = kind.createStore(url, options);
      closing.push(() => store.close());
      await store.open();
      return store;
    }

    async function proxied(url: string): Promise<{ readonly proxy: CommitProxy; readonly url: string }> {
      const proxy = await CommitProxy.start(Number(new URL(url).port));
      closing.push(() => proxy.close());
      return { proxy, url: withPort(url, proxy.port) };
    }

    it("ends its opening in bounded time when the server takes a connection and says nothing, and keeps no socket", async () => {
      const silent = createServer();
      const sockets = new Set<Socket>();
      silent.on("connection", (socket) => {
        sockets.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => sockets.delete(socket));
        socket.resume();
      });
      await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
      const { port } = silent.address() as AddressInfo;
      const url = withPort(await bench.newDatabase(), port);
      const store = kind.createStore(url, { connectMs: 300, statementMs: 300, waitMs: 300 });
      try {
        expect(await failureOf(store.open())).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
        await until(() => sockets.size === 0, "the end of each connection");
      } finally {
        await store.close();
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => silent.close(resolve));
      }
    });

    it("74 tells that it does not know when the connection is lost at the commit, before it came and after", async () => {
      const direct = await bench.newDatabase();
      const { proxy, url } = await proxied(direct);
      const store = await open(url);
      for (const fault of ["before", "after"] as const) {
        proxy.fault = fault;
        expect(await failureOf(store.commit([put(fault)]))).toMatchObject({ code: "DINP_COMMIT_UNKNOWN" });
        if (fault === "after") {
          await until(async () => (await store.get("setting", fault)) !== null, "the commit that was sent");
          continue;
        }
        expect(await store.get("setting", fault)).toBeNull();
      }
      const { revision } = await store.commit([put("next")]);
      expect((await store.snapshot()).revision).toBe(revision);
    });

    it("says of a lease that the database was away, whether or not it was taken", async () => {
      const direct = await bench.newDatabase();
      const { proxy, url } = await proxied(direct);
      const store = await open(url);
      const request = { name: "leader", holder: "one", ttlMs: 60_000 };
      for (const fault of ["before", "after"] as const) {
        proxy.fault = fault;
        expect(await failureOf(store.tryAcquireLease(request))).toMatchObject({
          code: "DINP_UNAVAILABLE",
          retryable: true,
        });
      }
      expect(await store.tryAcquireLease(request)).toMatchObject({ epoch: 1 });
    });

    it("73 is not held up by a process that stands still before its commit, nor is the next leader", async () => {
      const direct = await bench.newDatabase();
      const { proxy, url } = await proxied(direct);
      // The database does not end what stands still: it is in nobody's way.
      const stopped = await open(url, { statementMs: 120_000, idleTransactionMs: 120_000 });
      const other = await open(direct, { lockMs: 10_000 });
      const lease = await stopped.tryAcquireLease({ name: "leader", holder: "one", ttlMs: 1 });
      const isHeld = proxy.hold();
      const fencing = { lease: "leader", epoch: lease?.epoch ?? 0 };
      const late = failureOf(stopped.commit([put("late")], { fencing }));
      await isHeld;
      const next = await other.tryAcquireLease({ name: "leader", holder: "two", ttlMs: 60_000 });
      expect(next).toMatchObject({ epoch: 2 });
      const { revision } = await other.commit([put("other")], { fencing: { lease: "leader", epoch: 2 } });
      proxy.letGo();
      expect(await late).toMatchObject({ code: "DINP_FENCED" });
      expect(await other.snapshot()).toMatchObject({ revision, records: [{ key: "other" }] });
    });

    it("tells a leader that no longer waits for its refused commit why it was refused", async () => {
      const direct = await bench.newDatabase();
      const { proxy, url } = await proxied(direct);
      const stopped = await open(url, { statementMs: 120_000, idleTransactionMs: 120_000 });
      const other = await open(direct);
      const lease = await stopped.tryAcquireLease({ name: "leader", holder: "one", ttlMs: 1 });
      const isHeld = proxy.hold();
      const leading = new AbortController();
      const fencing = { lease: "leader", epoch: lease?.epoch ?? 0 };
      const late = failureOf(stopped.commit([put("late")], { fencing, signal: leading.signal }));
      await isHeld;
      await other.tryAcquireLease({ name: "leader", holder: "two", ttlMs: 60_000 });
      leading.abort();
      proxy.letGo();
      expect(await late).toMatchObject({ code: "DINP_FENCED" });
      expect(await other.get("setting", "late")).toBeNull();
    });

    it("takes the answers that came while this process stood still, however long that was", async () => {
      const store = await open(await bench.newDatabase(), { statementMs: 5_000 });
      await store.commit([put("before")]);
      const reading = store.get("setting", "before");
      await standStill(8_000);
      expect(await reading).toMatchObject({ key: "before" });
    });

    it("waits for a record that a process holds which stands still no longer than the database lets that", async () => {
      const direct = await bench.newDatabase();
      const { proxy, url } = await proxied(direct);
      // Long enough for its statements to follow one another on a busy machine.
      const stopped = await open(url, { statementMs: 120_000, idleTransactionMs: 8_000 });
      const other = await open(direct, { lockMs: 60_000, statementMs: 60_000 });
      const { revision } = await other.commit([put("same", "first")]);
      const isHeld = proxy.hold();
      const value = { key: "same", value: "late" };
      const late = failureOf(stopped.commit([{ op: "put", kind: "setting", value, ifRevision: revision }]));
      await isHeld;
      await other.commit([put("same", "other")]);
      proxy.letGo();
      // PostgreSQL says that it has ended the transaction, so that it can be repeated.
      const code = name === "postgres" ? "DINP_CONFLICT" : "DINP_COMMIT_UNKNOWN";
      expect(await late).toMatchObject({ code });
      expect(await other.get("setting", "same")).toMatchObject({ value: { value: "other" } });
    });

    it("refuses a commit when another makes the record that it wants to be absent, after it has looked", async () => {
      const direct = await bench.newDatabase();
      const { proxy, url } = await proxied(direct);
      const stopped = await open(url, { statementMs: 120_000, idleTransactionMs: 120_000 });
      const other = await open(direct);
      const isHeld = proxy.hold();
      const check: Write = { op: "check", kind: "setting", key: "wanted", ifRevision: "absent" };
      const late = failureOf(stopped.commit([check, put("late")]));
      await isHeld;
      await other.commit([put("wanted")]);
      proxy.letGo();
      expect(await late).toMatchObject({ code: "DINP_CONFLICT" });
      expect(await other.get("setting", "late")).toBeNull();
    });

    it("keeps nothing when the database goes back while a commit is on its way", async () => {
      const direct = await bench.newDatabase();
      const { proxy, url } = await proxied(direct);
      const store = await open(url, { statementMs: 120_000, idleTransactionMs: 120_000 });
      const { revision } = await store.commit([put("a")]);
      const isHeld = proxy.hold();
      const late = failureOf(store.commit([put("late")]));
      await isHeld;
      await kind.run(
        direct,
        `UPDATE dinp_counter SET revision = ${String(revision - 1)}`,
        `DELETE FROM dinp_change_log WHERE revision = ${String(revision)}`,
      );
      proxy.letGo();
      expect(await late).toMatchObject({ code: "DINP_UNAVAILABLE", details: { seenRevision: revision } });
      await kind.run(direct, `UPDATE dinp_counter SET revision = ${String(revision)}`);
      expect(await store.get("setting", "late")).toBeNull();
    });

    it("75 refuses a database that went back, and goes on when it has caught up", async () => {
      const url = await bench.newDatabase();
      const store = await open(url);
      await store.commit([put("a")]);
      const { revision } = await store.commit([put("b")]);
      const { signal } = new AbortController();
      const back = revision - 1;
      await kind.run(url, `UPDATE dinp_counter SET revision = ${String(back)}`);
      const watch = async (): Promise<void> => {
        for await (const event of store.watch({ after: back, signal })) throw new Error(event.type);
      };
      for (const call of [() => store.snapshot(), () => store.commit([put("c")]), watch]) {
        expect(await failureOf(call())).toMatchObject({
          code: "DINP_UNAVAILABLE",
          retryable: true,
          details: { seenRevision: expect.any(Number) },
        });
      }
      await kind.run(url, `UPDATE dinp_counter SET revision = ${String(revision)}`);
      expect((await store.commit([put("c")])).revision).toBe(revision + 1);
    });

    it("75 reads nothing over a new connection that leads to an older state, or to another store", async () => {
      const direct = await bench.newDatabase();
      const { proxy, url } = await proxied(direct);
      const store = await open(url);
      const { revision } = await store.commit([put("a")]);
      const [row] = await kind.run(direct, "SELECT detail FROM dinp_schema WHERE name = 'store'");
      const damages = [
        ["UPDATE dinp_counter SET revision = 0", `UPDATE dinp_counter SET revision = ${String(revision)}`],
        [
          "UPDATE dinp_schema SET detail = 'other' WHERE name = 'store'",
          `UPDATE dinp_schema SET detail = '${String(row?.["detail"])}' WHERE name = 'store'`,
        ],
      ] as const;
      for (const [damage, repair] of damages) {
        await kind.run(direct, damage);
        proxy.cutAll();
        expect(await failureOf(store.get("setting", "a"))).toMatchObject({ code: "DINP_UNAVAILABLE" });
        await kind.run(direct, repair);
        expect(await store.get("setting", "a")).not.toBeNull();
      }
    });

    it("76 keeps apart what differs in case or in spaces at the end", async () => {
      const store = await open(await bench.newDatabase());
      const keys = ["a", "A", "a ", " a", "a\\", "a'"];
      await store.commit(keys.map((key) => put(key, `value of ${key}`)));
      for (const key of keys)
        expect(await store.get("setting", key)).toMatchObject({ value: { value: `value of ${key}` } });
      expect((await store.snapshot()).records.map(({ key }) => key)).toEqual([...keys].sort());
    });

    it("shows no password and no statement in its errors", async () => {
      const url = new URL(await bench.newDatabase());
      url.password = "wrong-Pässword";
      const refused = await failureOf(open(url.href));
      expect(refused).toMatchObject({ code: "DINP_UNAVAILABLE" });
      expect(refused.hint).toMatch(/password/);
      url.pathname = "/absent";
      url.hostname = "127.0.0.1";
      url.port = "1";
      const unreachable = await failureOf(open(url.href));
      for (const error of [refused, unreachable])
        expect(printed(error)).not.toMatch(/wrong-P|SELECT|\$1|P%C3%A4/);
      expect(() => kind.createStore("http://user:secret@x/y")).toThrow(TypeError);
      expect(() => kind.createStore("http://user:secret@x/y")).not.toThrow(/secret/);
    });

    it("73 of two processes that each want the other's record to be absent, only the first gets it", async () => {
      const url = await bench.newDatabase();
      const [one, two] = [await open(url), await open(url)];
      for (let round = 0; round < 40; round += 1) {
        const [a, b] = [`a${String(round)}`, `b${String(round)}`];
        const tries = await Promise.allSettled([
          one.commit([{ op: "check", kind: "setting", key: b, ifRevision: "absent" }, put(a)]),
          two.commit([{ op: "check", kind: "setting", key: a, ifRevision: "absent" }, put(b)]),
        ]);
        const codes = tries.map((result) =>
          result.status === "fulfilled" ? "made" : isDinpError(result.reason) && result.reason.code,
        );
        expect([...codes].sort()).toEqual(["DINP_CONFLICT", "made"]);
      }
    });

    it("tells a watch of what another process commits", async () => {
      const url = await bench.newDatabase();
      const [one, two] = [await open(url), await open(url)];
      const controller = new AbortController();
      const { revision } = await two.commit([put("before")]);
      const seen: number[] = [];
      const watching = (async () => {
        for await (const event of one.watch({ after: revision, signal: controller.signal })) {
          if (event.type === "commit") seen.push(event.revision);
          if (seen.length === 3) controller.abort();
        }
      })();
      for (const key of ["a", "b", "c"]) await two.commit([put(key)]);
      await watching;
      expect(seen).toEqual([1, 2, 3].map((count) => revision + count));
    });
  });
}
