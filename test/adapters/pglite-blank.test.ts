// Needs the built package: with vitest alone, run `npm run build` first.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findBlankDatabase } from "../../src/adapters/pglite/blank-database.js";
import { openPglite } from "../../src/adapters/pglite/driver.js";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dinp-blank-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** What a database says of itself before anyone has written to it. */
async function describeNew(name: string, findBlank?: () => Promise<string | null>): Promise<unknown> {
  await mkdir(join(folder, name));
  const { pglite } = await openPglite(join(folder, name), "process-crash", findBlank);
  try {
    const answers = [];
    for (const question of [
      "SELECT version()",
      "SELECT datname, encoding, datcollate, datctype, datlocprovider, datistemplate FROM pg_database ORDER BY 1",
      "SELECT rolname, rolsuper FROM pg_roles ORDER BY 1",
      "SELECT relname, relkind FROM pg_class ORDER BY 1, 2",
      "SELECT name, setting FROM pg_settings WHERE source NOT IN ('default', 'override') ORDER BY 1",
    ])
      answers.push((await pglite.query(question)).rows);
    return answers;
  } finally {
    await pglite.close();
  }
}

describe("a new database", () => {
  test("is the same whether it is unpacked from the package or made", async () => {
    expect(await findBlankDatabase()).toMatch(/blank-[\d.]+\.tar\.gz$/);
    expect(await describeNew("unpacked")).toEqual(await describeNew("made", () => Promise.resolve(null)));
  });

  test("is not there when what is to be unpacked is damaged, and is made anew by the next opening", async () => {
    const damaged = openPglite(folder, "process-crash", () => Promise.resolve(import.meta.filename));
    await expect(damaged).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
    const { pglite } = await openPglite(folder, "process-crash");
    await pglite.close();
  });
});
