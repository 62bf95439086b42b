import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPglite } from "../../src/adapters/pglite/driver.js";
import { PgliteDatabase } from "../../src/adapters/pglite/pglite-database.js";
import { rawSql, rowsSql, sql } from "../../src/adapters/sql/statement.js";
import { PgliteBench } from "./state-store-support/pglite.js";

let bench: PgliteBench;
let database: PgliteDatabase;

beforeAll(async () => {
  bench = await PgliteBench.make();
  database = new PgliteDatabase({
    ...(await openPglite(await bench.newFolder(), "process-crash")),
    clock: { sleep: (ms) => delay(ms) },
    onClosed: () => Promise.resolve(),
  });
  await database.run(
    rawSql("CREATE TABLE things (kind text NOT NULL, name text NOT NULL, PRIMARY KEY (kind, name))"),
  );
});

afterAll(async () => {
  await database.close();
  await bench.dispose();
});

/** The prepared statements whose text has this in it, as the database lists them. */
async function preparedWith(part: string): Promise<readonly string[]> {
  const rows = await database.run(
    sql`SELECT name FROM pg_prepared_statements WHERE strpos(statement, ${part}) > 0 AND strpos(statement, 'pg_prepared') = 0`,
  );
  return rows.map((row) => String(row["name"]));
}

describe("statements that a pglite database keeps prepared", () => {
  it("are those that come again, each once", async () => {
    await database.run(sql`SELECT ${1}::int AS once`);
    expect(await preparedWith("AS once")).toEqual([]);
    for (const value of [1, 2, 3])
      expect(await database.run(sql`SELECT ${value}::int AS again`)).toEqual([{ again: value }]);
    expect(await preparedWith("AS again")).toHaveLength(1);
  });

  it("are bounded in number, and give their own values after others took their places", async () => {
    for (let round = 0; round < 2; round += 1) {
      for (let n = 0; n < 300; n += 1) {
        for (const value of ["a", null])
          expect(await database.run(sql`SELECT ${value}::text AS ${rawSql(`many_${String(n)}`)}`)).toEqual([
            { [`many_${String(n)}`]: value },
          ]);
      }
    }
    const kept = await preparedWith("many_");
    expect(kept.length).toBeGreaterThan(50);
    expect(kept.length).toBeLessThanOrEqual(128);
  });

  it("go on after one of them failed, within a transaction too", async () => {
    const divide = (by: number): Promise<unknown> => database.run(sql`SELECT 6 / ${by}::int AS divided`);
    for (let round = 0; round < 3; round += 1) {
      expect(await divide(2)).toEqual([{ divided: 3 }]);
      await expect(divide(0)).rejects.toThrow(/division by zero/);
      await expect(
        database.write(async (session) => {
          await session.run(sql`INSERT INTO things VALUES (${"lost"}, ${String(round)})`);
          await session.run(sql`SELECT 6 / ${0}::int AS divided`);
        }),
      ).rejects.toThrow(/division by zero/);
    }
    expect(await divide(3)).toEqual([{ divided: 2 }]);
    expect((await preparedWith("AS divided")).length).toBeLessThanOrEqual(1);
    expect(await database.run(sql`SELECT name FROM things WHERE kind = ${"lost"}`)).toEqual([]);
  });

  it("are planned anew when the tables may have doubled", async () => {
    const find = (name: string): Promise<unknown> =>
      database.run(sql`SELECT name FROM things WHERE kind = ${"grown"} AND name = ${name}`);
    for (let use = 0; use < 10; use += 1) expect(await find("n1")).toEqual([]);
    const before = await preparedWith("SELECT name FROM things WHERE kind");
    for (let chunk = 0; chunk < 8; chunk += 1) {
      const rows = Array.from({ length: 250 }, (_, n) => ["grown", `n${String(chunk * 250 + n)}`]);
      await database.run(sql`INSERT INTO things VALUES ${rowsSql(rows)}`);
    }
    for (let use = 0; use < 10; use += 1) expect(await find("n1999")).toEqual([{ name: "n1999" }]);
    const after = await preparedWith("SELECT name FROM things WHERE kind");
    expect([before.length, after.length]).toEqual([1, 1]);
    expect(after).not.toEqual(before);
  });
});
