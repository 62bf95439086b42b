import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { createMemoryStateStore } from "@dinp/core/memory";
import { createSystemClock } from "@dinp/core/system";
import { ensureAdminToken } from "../../src/bin/server/admin-token.js";

it("makes another first admin token when a crash kept the first one from its file, and then none any more", async () => {
  const folder = await mkdtemp(join(tmpdir(), "dinp-admin-token-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const store = createMemoryStateStore({ clock: createSystemClock() });
  await store.open();
  onTestFinished(() => store.close());
  let made = 0;
  const platform = {
    createAdminToken: () => {
      made += 1;
      const number = String(made);
      return Promise.resolve({ id: `token-${number}`, subject: "admin", secret: `secret-${number}` });
    },
  };
  // A file where the folder should be: the first one is made, and cannot be written down.
  await writeFile(join(folder, "data"), "");
  const shared = { platform, store, renew: false, file: join(folder, "data", "admin-token") };
  await expect(ensureAdminToken({ ...shared, serverId: "s1" })).rejects.toThrow();
  await rm(join(folder, "data"));
  expect(await ensureAdminToken({ ...shared, serverId: "s2" })).toBeNull();
  expect(await ensureAdminToken({ ...shared, serverId: "s1" })).toBe(shared.file);
  expect(await readFile(shared.file, "utf8")).toBe("secret-2\n");
  // Whoever has taken it away has read it.
  await rm(shared.file);
  expect(await ensureAdminToken({ ...shared, serverId: "s1" })).toBeNull();
  expect(made).toBe(2);
});
