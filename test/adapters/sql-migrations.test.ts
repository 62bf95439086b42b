import { afterAll, expect, it } from "vitest";
import type { StateStore } from "@dinp/core";
import { describeWithServices } from "../support/services.js";
import { FaultProxy } from "./oci-support/fault-proxy.js";
import { sqlKinds, withPort } from "./sql-support/kinds.js";
import { SqlBench } from "./sql-support/sql-bench.js";

/** The work of a migration is cut after so many more bytes each time; the last rounds find it done. */
const STEP_BYTES = 900;

for (const kind of sqlKinds) {
  const { name } = kind.server;
  describeWithServices([name], `${name} state store: migrations`, (places) => {
    const bench = new SqlBench(kind, Object.values<string>(places)[0] ?? "");

    afterAll(() => bench.dispose());

    async function assertWorks(store: StateStore): Promise<void> {
      const { revision } = await store.commit([
        {
          op: "put",
          kind: "token",
          value: { id: "t1", hash: "h1", subject: "s", role: "admin", createdAt: 1 },
        },
      ]);
      expect(await store.snapshot()).toMatchObject({ revision, records: [{ key: "t1" }] });
      expect((await store.getUnique("token", "hash", "h1"))?.key).toBe("t1");
    }

    async function opened<T>(url: string, body: (store: StateStore) => Promise<T>): Promise<T> {
      const store = kind.createStore(url);
      try {
        await store.open();
        return await body(store);
      } finally {
        await store.close();
      }
    }

    it("77 may be interrupted anywhere", async () => {
      const direct = await bench.newDatabase();
      const proxy = await FaultProxy.start(Number(new URL(direct).port));
      try {
        const url = withPort(direct, proxy.port);
        let failures = 0;
        for (let afterBytes = 500; ; afterBytes += STEP_BYTES) {
          proxy.set({ kind: "cut", way: "up", afterBytes, times: 1_000 });
          const isOpen = await opened(url, () => Promise.resolve()).then(
            () => true,
            () => false,
          );
          if (isOpen) break;
          failures += 1;
        }
        expect(failures).toBeGreaterThan(3);
        await opened(direct, assertWorks);
      } finally {
        await proxy.close();
      }
    });

    it("may be done by several processes at the same time", async () => {
      const url = await bench.newDatabase();
      const stores = Array.from({ length: 4 }, () => kind.createStore(url));
      try {
        await Promise.all(stores.map((store) => store.open()));
        for (const [index, store] of stores.entries()) {
          if (index === 0) await assertWorks(store);
          expect((await store.getUnique("token", "hash", "h1"))?.key).toBe("t1");
        }
      } finally {
        await Promise.all(stores.map((store) => store.close()));
      }
    });

    it("leaves alone what one version more has done to the tables, and refuses two", async () => {
      const url = await bench.newDatabase();
      await opened(url, assertWorks);
      const setVersion = (version: number): Promise<unknown> =>
        kind.run(url, `UPDATE dinp_schema SET version = ${String(version)} WHERE name = 'tables'`);
      const readVersion = async (): Promise<unknown> =>
        (await kind.run(url, "SELECT version FROM dinp_schema WHERE name = 'tables'"))[0]?.["version"];
      await setVersion(2);
      await opened(url, async (store) => {
        expect((await store.snapshot()).records).toHaveLength(1);
      });
      expect(Number(await readVersion())).toBe(2);
      await setVersion(3);
      await expect(opened(url, () => Promise.resolve())).rejects.toMatchObject({ code: "DINP_INVALID" });
    });
  });
}
