import { type Route, type RouteChange, RouteIndex } from "@dinp/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { route } from "./records.js";

/** The rule, spelled out: of the host's routes whose path is a prefix by whole segments, the longest. */
function naiveFind(routes: readonly Route[], host: string, path: string): Route | null {
  const matches = routes.filter(
    (each) =>
      each.host === host && (each.path === "/" || path === each.path || path.startsWith(`${each.path}/`)),
  );
  return matches.sort((a, b) => b.path.length - a.path.length)[0] ?? null;
}

const segment = fc.constantFrom("a", "b", "ab", "", "..", "%61", "A");
const requestPath = fc.array(segment, { maxLength: 6 }).map((segments) => `/${segments.join("/")}`);
const routePath = fc
  .array(fc.constantFrom("a", "b", "ab", "A"), { maxLength: 4 })
  .map((segments) => `/${segments.join("/")}`);
const host = fc.constantFrom("a.test", "b.test");
const put = fc.tuple(host, routePath).map((at): RouteChange => ({ op: "put", route: route(...at) }));
const remove = fc.tuple(host, routePath).map(([host, path]): RouteChange => ({ op: "delete", host, path }));
const change = fc.oneof({ weight: 3, arbitrary: put }, { weight: 1, arbitrary: remove });

describe("RouteIndex", () => {
  it("finds what the rule says, after any changes", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(change, { maxLength: 10 }), { maxLength: 5 }),
        fc.array(fc.tuple(host, requestPath), { maxLength: 20 }),
        (batches, requests) => {
          const index = new RouteIndex();
          let model: Route[] = [];
          for (const batch of batches) {
            index.apply(batch);
            for (const each of batch) {
              const at = each.op === "put" ? each.route : each;
              model = model.filter((present) => present.host !== at.host || present.path !== at.path);
              if (each.op === "put") model.push(each.route);
            }
            for (const [asked, path] of requests)
              expect(index.find(asked, path)).toBe(naiveFind(model, asked, path));
          }
          expect(index.size).toBe(model.length);
          expect(index.hasHost("a.test")).toBe(model.some((each) => each.host === "a.test"));
          expect(index.hasInstance("i-1")).toBe(model.length > 0);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("knows which instances are on the table", () => {
    const index = new RouteIndex([route("a.test", "/", ["i-1", "i-2"]), route("b.test", "/", ["i-1"])]);
    expect(index.apply([{ op: "put", route: route("a.test", "/", ["i-3"]) }])).toBe(true);
    expect(["i-1", "i-2", "i-3"].map((id) => index.hasInstance(id))).toEqual([true, false, true]);
    expect(index.apply([{ op: "put", route: route("a.test", "/", ["i-3", "i-4"]) }])).toBe(false);
    expect(index.apply([{ op: "put", route: route("a.test", "/", ["i-3", "i-1"]) }])).toBe(true);
    expect(index.apply([{ op: "put", route: route("a.test", "/", ["i-3"]) }])).toBe(false);
    expect(index.apply([{ op: "delete", host: "b.test", path: "/" }])).toBe(true);
    expect(index.hasInstance("i-1")).toBe(false);
  });

  it("is not slowed down by a path of slashes", () => {
    const index = new RouteIndex([route("a.test", "/a/b"), route("a.test", "/")]);
    const path = "/".repeat(30_000);
    for (let i = 0; i < 1_000; i += 1) expect(index.find("a.test", path)?.path).toBe("/");
  });
});
