import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isDinpError, type DinpError, type StateStore } from "@dinp/core";
import { describeWithServices } from "../support/services.js";
import { DatabaseProcess } from "./sql-support/database-process.js";
import { makeDatabaseOf, sqlKinds, type StoreOptions } from "./sql-support/kinds.js";
import { SmallDisk } from "./sql-support/small-disk.js";
import { until } from "./support/until.js";

const BOUNDS: StoreOptions = {
  ...{ connectMs: 8_000, waitMs: 8_000, statementMs: 8_000 },
  ...{ lockMs: 1_000, pollMs: 50 },
};
const KIB = 1024;
const MIB = 1024 * KIB;
const WRITES_MAX = 1_000;
/** MySQL waits for a minute before it looks again whether its log has room. */
const RECOVERY_MS_MAX = 180_000;

/** Commits to a store, and what came of them. */
class Ledger {
  readonly acknowledged: string[] = [];
  readonly refused: string[] = [];
  readonly failures: DinpError[] = [];
  readonly #store: StateStore;
  #count = 0;

  constructor(store: StateStore) {
    this.#store = store;
  }

  /** One record of about this size, which no compression makes smaller. Null when it was acknowledged. */
  async write(bytes = 64): Promise<DinpError | null> {
    this.#count += 1;
    const key = `key-${String(this.#count)}`;
    const value = randomBytes((bytes * 3) / 4).toString("base64");
    try {
      await this.#store.commit([{ op: "put", kind: "setting", value: { key, value } }]);
      this.acknowledged.push(key);
      return null;
    } catch (error) {
      if (!isDinpError(error)) throw error;
      if (error.code !== "DINP_COMMIT_UNKNOWN") this.refused.push(key);
      this.failures.push(error);
      return error;
    }
  }

  async assertKept(): Promise<void> {
    const keys = new Set((await this.#store.snapshot()).records.map(({ key }) => key));
    expect(this.acknowledged.filter((key) => !keys.has(key))).toEqual([]);
    expect(this.refused.filter((key) => keys.has(key))).toEqual([]);
  }
}

for (const kind of sqlKinds) {
  const { name } = kind.server;
  describeWithServices([name], `${name} state store: a full disk`, () => {
    describe.runIf(process.getuid?.() === 0)("on a disk of its own", () => {
      let disk: SmallDisk;
      let server: DatabaseProcess;

      beforeAll(async () => {
        server = await DatabaseProcess.start(kind.server, async (data) => {
          disk = await SmallDisk.mount(data);
        });
      }, 180_000);
      afterAll(async () => {
        await server.stop();
        await disk.unmount();
        await server[Symbol.asyncDispose]();
      });

      /** Fills the disk in `body`, which has a store with a record in it, and makes room afterwards. */
      async function filled(body: (ledger: Ledger, store: StateStore) => Promise<void>): Promise<void> {
        const store = kind.createStore(await makeDatabaseOf(kind, server.url), BOUNDS);
        try {
          await store.open();
          const ledger = new Ledger(store);
          expect(await ledger.write()).toBeNull();
          try {
            await body(ledger, store);
          } finally {
            await disk.makeRoom();
          }
          await until(
            async () => {
              if (!server.isRunning) await server.restart();
              return (await ledger.write()) === null;
            },
            "a commit on a disk with room",
            RECOVERY_MS_MAX,
          );
          for (const { code, retryable, hint } of ledger.failures) {
            if (code === "DINP_COMMIT_UNKNOWN") continue;
            expect({ code, retryable, hint }).toEqual({
              code: "DINP_UNAVAILABLE",
              retryable: true,
              hint: expect.stringMatching(/disk/),
            });
          }
          await ledger.assertKept();
        } finally {
          await store.close();
        }
      }

      it("73 is told of with a hint to see the disk; what was acknowledged stays readable, and it goes on when there is room", async () => {
        await filled(async (ledger, store) => {
          if (name === "postgres") {
            // Its log has a whole new piece of 16 MiB.
            await kind.run(server.url, "SELECT pg_switch_wal()");
            expect(await ledger.write()).toBeNull();
          }
          await disk.leave(4 * MIB);
          let failure: DinpError | null = null;
          // MySQL may come to wait at its log before a table is full.
          const isUnknown = (): boolean => failure === null || failure.code === "DINP_COMMIT_UNKNOWN";
          for (let count = 0; isUnknown() && count < WRITES_MAX; count += 1)
            failure = await ledger.write(64 * KIB);
          expect(failure).toMatchObject({
            code: "DINP_UNAVAILABLE",
            retryable: true,
            hint: expect.stringMatching(/disk/),
          });
          try {
            expect(await store.get("setting", "key-1")).not.toBeNull();
            await ledger.assertKept();
          } catch (error) {
            // MariaDB ends itself when some of its own files cannot grow.
            expect([name, error]).toMatchObject(["mariadb", { code: "DINP_UNAVAILABLE" }]);
          }
        });
      }, 600_000);

      it("73 ends every call in bounded time when the server cannot write its log, and loses nothing", async () => {
        await filled(async (ledger, store) => {
          if (name === "postgres") {
            // Room for tables, but not for another piece of its log.
            await disk.leave(8 * MIB);
            await kind.run(server.url, "SELECT pg_switch_wal()").catch(() => undefined);
          } else await disk.leave(0);
          for (let count = 0; ledger.failures.length < 3 && count < WRITES_MAX; count += 1)
            await ledger.write();
          expect(ledger.failures).toHaveLength(3);
          const asked = store.tryAcquireLease({ name: "leader", holder: "one", ttlMs: 60_000 });
          await asked.catch((error: unknown) => {
            expect(error).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
          });
        });
      }, 600_000);
    });
  });
}
