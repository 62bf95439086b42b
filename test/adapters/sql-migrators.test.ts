import { rm } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { StateStore } from "@dinp/core";
import { describeWithServices } from "../support/services.js";
import { dropDatabase, makeDatabaseOf, sqlKinds, withPort } from "./sql-support/kinds.js";
import { StepProxy } from "./sql-support/step-proxy.js";
import { buildChild, TellingChild } from "./state-store-support/child.js";
import { until } from "./support/until.js";

/** How many moments of a migration a process is killed at, evenly from the first to the last. */
const MOMENTS = 6;

/** Makes of today's tables those of a version before: no version, fewer tables, and records that are not found by anything. */
const OLDER = [
  "UPDATE dinp_schema SET version = 0 WHERE name = 'tables'",
  "DELETE FROM dinp_schema WHERE name LIKE 'kind %'",
  "DROP TABLE dinp_unique_values",
  "DROP TABLE dinp_index_values",
  "DROP TABLE dinp_leases",
];

let child: Awaited<ReturnType<typeof buildChild>>;
beforeAll(async () => {
  child = await buildChild("migrating-child");
}, 120_000);
afterAll(() => rm(child.folder, { recursive: true, force: true }));

for (const kind of sqlKinds) {
  const { name } = kind.server;
  describeWithServices([name], `${name} state store: processes killed while they migrate`, (places) => {
    const adminUrl = Object.values<string>(places)[0] ?? "";

    async function opened<T>(url: string, body: (store: StateStore) => Promise<T>): Promise<T> {
      const store = kind.createStore(url);
      try {
        await store.open();
        return await body(store);
      } finally {
        await store.close();
      }
    }

    const addRecords = (store: StateStore): Promise<unknown> =>
      store.commit([
        {
          op: "put",
          kind: "token",
          value: { id: "t1", hash: "h1", subject: "s", role: "admin", createdAt: 1 },
        },
        {
          op: "put",
          kind: "placement",
          value: {
            ...{ instanceId: "i1", appId: "a1", releaseId: "r1", nodeId: "n1" },
            ...{ desired: "running", reason: "", createdAt: 1, changedAt: 1 },
          },
        },
      ]);

    /** Everything that is looked for is found, and the tables have what each store's have. */
    async function assertWhole(url: string, hadRecords: boolean): Promise<void> {
      await opened(url, async (store) => {
        if (!hadRecords) await addRecords(store);
        expect((await store.snapshot()).records.map(({ key }) => key)).toEqual(["i1", "t1"]);
        expect((await store.getUnique("token", "hash", "h1"))?.key).toBe("t1");
        const found: string[] = [];
        for await (const { key } of store.list("placement", { index: { name: "node", value: "n1" } }))
          found.push(key);
        expect(found).toEqual(["i1"]);
        expect(await store.tryAcquireLease({ name: "leader", holder: "one", ttlMs: 60_000 })).not.toBeNull();
      });
      expect(await kind.run(url, "SELECT COUNT(*) AS counters FROM dinp_counter")).toMatchObject([
        { counters: "1" },
      ]);
    }

    /** A database of its own, empty or of an older version; gone afterwards. */
    async function withDatabase(isOlder: boolean, body: (url: string) => Promise<void>): Promise<void> {
      const url = await makeDatabaseOf(kind, adminUrl);
      try {
        if (isOlder) {
          await opened(url, addRecords);
          await kind.run(url, ...OLDER);
        }
        await body(url);
      } finally {
        await dropDatabase(kind, url, adminUrl);
      }
    }

    async function withProxy<T>(url: string, body: (proxy: StepProxy) => Promise<T>): Promise<T> {
      const proxy = await StepProxy.start(Number(new URL(url).port));
      try {
        return await body(proxy);
      } finally {
        await proxy.close();
      }
    }

    const migrator = (url: string, proxy: StepProxy): TellingChild =>
      new TellingChild(child.file, [withPort(url, proxy.port)]);

    /** How many steps a whole migration has. */
    async function stepsOf(isOlder: boolean): Promise<number> {
      let steps = 0;
      await withDatabase(isOlder, (url) =>
        withProxy(url, async (proxy) => {
          await migrator(url, proxy).hasTold(1);
          steps = proxy.steps;
        }),
      );
      return steps;
    }

    it.each([
      ["an empty database", false],
      ["a database of an older version", true],
    ])(
      "77 at any moment, in %s: the next one finishes it",
      async (_what, isOlder) => {
        const steps = await stepsOf(isOlder);
        expect(steps).toBeGreaterThan(MOMENTS);
        for (let moment = 1; moment <= MOMENTS; moment += 1) {
          await withDatabase(isOlder, (url) =>
            withProxy(url, async (proxy) => {
              const stopped = proxy.stopAt(Math.floor((steps * moment) / (MOMENTS + 1)), moment % 2 === 0);
              const killed = migrator(url, proxy);
              await stopped;
              await killed.kill();
              expect(killed.told).toEqual([]);
              await assertWhole(url, isOlder);
            }),
          );
        }
      },
      300_000,
    );

    it("77 while another one does the same: that one finishes it", async () => {
      const steps = await stepsOf(true);
      for (const share of [0.4, 0.7, 0.95]) {
        await withDatabase(true, (url) =>
          withProxy(url, (firstProxy) =>
            withProxy(url, async (secondProxy) => {
              const stopped = firstProxy.stopAt(Math.floor(steps * share), true);
              const first = migrator(url, firstProxy);
              await stopped;
              const second = migrator(url, secondProxy);
              await until(() => secondProxy.steps > 2, "the second one's beginning");
              await first.kill();
              await second.hasTold(1);
              await assertWhole(url, true);
            }),
          ),
        );
      }
    }, 300_000);
  });
}
