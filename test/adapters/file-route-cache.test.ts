import { appendFile, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareRoutes, type Route, type RouteChange, type RouteTableSnapshot } from "@dinp/core";
import { createFileRouteCache } from "@dinp/core/file";
import { route } from "../routing/records.js";
import { tempFolder } from "./file-support.js";

const version = (revision: number): RouteTableSnapshot["version"] => ({
  incarnation: "one",
  epoch: 3,
  revision,
});
const table = (revision: number, ...routes: readonly Route[]): RouteTableSnapshot => ({
  version: version(revision),
  routes,
});
const sorted = (snapshot: RouteTableSnapshot | null): RouteTableSnapshot | null =>
  snapshot === null ? null : { ...snapshot, routes: snapshot.routes.toSorted(compareRoutes) };

async function pathOf(): Promise<string> {
  return join(await tempFolder(), "state", "routes.jsonl");
}

describe("a route cache in a file", () => {
  it("finds nothing before anything was saved, then what was saved last, also by another process's eyes", async () => {
    const path = await pathOf();
    const cache = createFileRouteCache({ path });
    expect(await cache.load()).toBeNull();
    await cache.save(table(1, route("a.test", "/"), route("b.test", "/x", [])));
    await cache.save(table(2, route("b.test", "/")));
    expect(await createFileRouteCache({ path }).load()).toEqual(table(2, route("b.test", "/")));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(dirname(path))).toEqual(["routes.jsonl"]);
  });

  it("finds the changes that were added, and the table anew after the next save", async () => {
    const path = await pathOf();
    const cache = createFileRouteCache({ path });
    await cache.save(table(1, route("a.test", "/"), route("b.test", "/")));
    await cache.append(version(2), [{ op: "delete", host: "a.test", path: "/" }]);
    await cache.append(version(3), [{ op: "put", route: route("b.test", "/", ["i-2", "i-3"]) }]);
    expect(await cache.load()).toEqual(table(3, route("b.test", "/", ["i-2", "i-3"])));
    await cache.save(table(4));
    expect(await cache.load()).toEqual(table(4));
  });

  it("does not add changes to a table that is not there", async () => {
    const cache = createFileRouteCache({ path: await pathOf() });
    await expect(cache.append(version(2), [])).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
    await cache.save(table(1, route("a.test", "/")));
    await cache.clear();
    await cache.clear();
    expect(await cache.load()).toBeNull();
    await expect(cache.append(version(2), [])).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
    expect(await cache.load()).toBeNull();
  });

  it("takes a table of which any byte is missing or other for none", async () => {
    const path = await pathOf();
    const cache = createFileRouteCache({ path });
    await cache.save(table(1, route("a.test", "/"), route("b.test", "/")));
    const whole = await readFile(path);
    for (let at = 0; at < whole.length; at += 1) {
      await writeFile(path, whole.subarray(0, at));
      // Only the line feed at its end is not needed.
      expect(await cache.load(), `cut after ${String(at)} bytes`).toEqual(
        at === whole.length - 1 ? table(1, route("a.test", "/"), route("b.test", "/")) : null,
      );
      const other = Buffer.from(whole);
      other.writeUInt8(other.readUInt8(at) ^ 1, at);
      if (at === whole.length - 1) continue;
      await writeFile(path, other);
      expect(await cache.load(), `byte ${String(at)} is another`).toBeNull();
    }
  });

  it("gives the table before a change that is cut or damaged, and none after it", async () => {
    const path = await pathOf();
    const cache = createFileRouteCache({ path });
    await cache.save(table(1, route("a.test", "/")));
    const { size: before } = await stat(path);
    await cache.append(version(2), [{ op: "put", route: route("b.test", "/") }]);
    const { size: after } = await stat(path);
    await cache.append(version(3), [{ op: "delete", host: "a.test", path: "/" }]);
    const whole = await readFile(path);
    for (let at = before; at < after - 1; at += 7) {
      const other = Buffer.from(whole);
      other.writeUInt8(other.readUInt8(at) ^ 1, at);
      await writeFile(path, other);
      expect(await cache.load()).toEqual(table(1, route("a.test", "/")));
      await truncate(path, at);
      expect(await cache.load()).toEqual(table(1, route("a.test", "/")));
    }
    await writeFile(path, whole);
    await appendFile(path, "0123456789abcdef {}\n");
    expect(await cache.load()).toEqual(table(3, route("b.test", "/")));
  });

  it("gives what a map would, after any changes", async () => {
    const hosts = fc.constantFrom("a.test", "b.test", "c.test");
    const change: fc.Arbitrary<RouteChange> = fc.oneof(
      hosts.map((host) => ({ op: "delete" as const, host, path: "/" })),
      fc
        .tuple(hosts, fc.array(fc.string(), { maxLength: 3 }))
        .map(([host, ids]) => ({ op: "put" as const, route: route(host, "/", ids) })),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(change, { maxLength: 4 }), { maxLength: 8 }), async (steps) => {
        const cache = createFileRouteCache({ path: await pathOf() });
        const expected = new Map<string, Route>();
        await cache.save(table(0));
        for (const [index, changes] of steps.entries()) {
          for (const each of changes) {
            if (each.op === "put") expected.set(each.route.host, each.route);
            else expected.delete(each.host);
          }
          await cache.append(version(index + 1), changes);
        }
        expect(sorted(await cache.load())).toEqual(sorted(table(steps.length, ...expected.values())));
      }),
      { numRuns: 30 },
    );
  });
});
