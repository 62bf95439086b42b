import { afterAll, expect, it } from "vitest";
import type { StateStore, Write } from "@dinp/core";
import { describeWithServices } from "../support/services.js";
import { CommitProxy } from "./sql-support/commit-proxy.js";
import { sqlKinds, withPort, type SqlKind } from "./sql-support/kinds.js";
import { SqlBench } from "./sql-support/sql-bench.js";
import { until } from "./support/until.js";

const put = (value: string): Write => ({ op: "put", kind: "setting", value: { key: "wanted", value } });

/** An operator's transaction that takes the rows of a commit in the other order; it has more to lose, so that the server ends the commit. */
function crossing({ server: { name } }: SqlKind): readonly string[] {
  const rows = Array.from({ length: 100 }, (_, row) => `(${String(row)})`).join(", ");
  return [
    "CREATE TABLE crossing (id int PRIMARY KEY)",
    ...(name === "postgres" ? ["SET deadlock_timeout = '1h'"] : ["SET innodb_lock_wait_timeout = 100"]),
    "START TRANSACTION",
    `INSERT INTO crossing VALUES ${rows}`,
    "UPDATE dinp_counter SET log_trimmed = log_trimmed + 0, revision = revision + 0 WHERE id = 1",
    ...(name === "postgres" ? [] : ["SELECT revision FROM dinp_counter WHERE id = 1 FOR UPDATE"]),
    "SELECT value AS crossing FROM dinp_records WHERE kind = 'setting' AND record_key = 'wanted' FOR UPDATE",
    "COMMIT",
  ];
}

/** Whether that transaction waits for the commit's record. */
async function waits(kind: SqlKind, url: string): Promise<boolean> {
  const database = new URL(url).pathname.slice(1);
  const question =
    kind.server.name === "postgres"
      ? `SELECT 1 FROM pg_stat_activity WHERE datname = '${database}' AND wait_event_type = 'Lock' AND query LIKE 'SELECT value AS crossing%'`
      : `SELECT 1 FROM information_schema.processlist WHERE db = '${database}' AND info LIKE 'SELECT value AS crossing%'`;
  return (await kind.run(url, question)).length > 0;
}

/** Whether the server has ended a transaction of the database for a deadlock. */
async function hasSeenDeadlock(kind: SqlKind, url: string): Promise<boolean> {
  const database = new URL(url).pathname.slice(1);
  if (kind.server.name === "postgres") {
    const [row] = await kind.run(url, `SELECT deadlocks FROM pg_stat_database WHERE datname = '${database}'`);
    return Number(row?.["deadlocks"]) > 0;
  }
  const [row] = await kind.run(url, "SHOW ENGINE INNODB STATUS");
  const [, latest = ""] = String(row?.["Status"]).split("LATEST DETECTED DEADLOCK");
  return latest.includes(`\`${database}\`.\`dinp_counter\``);
}

for (const kind of sqlKinds) {
  const { name } = kind.server;
  describeWithServices([name], `${name} state store: a deadlock`, (places) => {
    const bench = new SqlBench(kind, Object.values<string>(places)[0] ?? "");
    afterAll(() => bench.dispose(), 120_000);

    it("73 that the server ends a commit for is over when the commit was made again", async () => {
      const url = await bench.newDatabase();
      const proxy = await CommitProxy.start(Number(new URL(url).port));
      const store: StateStore = kind.createStore(withPort(url, proxy.port), {
        lockMs: 100_000,
        statementMs: 120_000,
        idleTransactionMs: 120_000,
      });
      try {
        await store.open();
        const before = await store.commit([put("before")]);
        const isHeld = proxy.hold();
        const made = store.commit([put("after")]);
        await isHeld;
        const other = kind.run(url, ...crossing(kind));
        await Promise.race([
          until(() => waits(kind, url), "the transaction that waits for the record"),
          other,
        ]);
        proxy.letGo();
        expect(await made).toEqual({ ...before, revision: before.revision + 1 });
        await other;
        expect(await store.get("setting", "wanted")).toMatchObject({ value: { value: "after" } });
        await until(() => hasSeenDeadlock(kind, url), "the server's word of a deadlock");
      } finally {
        await store.close();
        await proxy.close();
      }
    }, 180_000);
  });
}
