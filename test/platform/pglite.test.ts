import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPgliteStateStore } from "@dinp/core/pglite";
import { expect, it, onTestFinished } from "vitest";
import { createWorld } from "./world.js";

it("does over a database on disk what it does in memory", async () => {
  const dir = await mkdtemp(join(tmpdir(), "dinp-platform-pglite-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  await using world = await createWorld({ store: createPgliteStateStore({ dataDir: join(dir, "state") }) });
  const { platform } = world;
  await world.push("hello");
  const stop = new AbortController();
  const events = platform.followEvents({ app: "hello" }, { signal: stop.signal })[Symbol.asyncIterator]();
  expect((await events.next()).value).toMatchObject({ type: "build.succeeded" });
  expect((await events.next()).value).toMatchObject({ type: "app.created" });
  expect((await events.next()).value).toMatchObject({ type: "release.created" });
  const rollout = platform.followRollout("hello", 1, { signal: stop.signal })[Symbol.asyncIterator]();
  expect((await rollout.next()).value).toMatchObject({ state: "pending" });

  const names = Array.from({ length: 8 }, (_, index) => `V${String(index)}`);
  await Promise.all(
    names.map((name) => platform.changeEnv("hello", { set: { [name]: "x" } }, world.write())),
  );
  expect(Object.keys((await platform.getEnv("hello")).env).sort()).toEqual(names);
  const scale = () => platform.scaleApp("hello", { instances: 2 }, world.write("key"));
  const [first, ...others] = await Promise.all([scale(), scale(), scale()]);
  for (const other of others) expect(other).toEqual(first);
  await platform.deleteApp("hello", {}, world.write());

  expect((await rollout.next()).value).toMatchObject({ state: "superseded" });
  const told: string[] = [];
  while (told.at(-1) !== "app.deleted") {
    const next = await events.next();
    if (next.done === true) throw new Error("the events ended early");
    told.push(next.value.type);
  }
  expect(told).toEqual([...names.map(() => "release.created"), "app.scaled", "app.deleted"]);
  const end = events.next();
  stop.abort();
  expect((await end).done).toBe(true);
  await platform.tidy();
}, 300_000);
