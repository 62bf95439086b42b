import { describe, expect, it } from "vitest";
import type { RouteTableVersion } from "@dinp/core";
import { TableTrust } from "../../src/core/loops/table-trust.js";
import { route } from "./records.js";

const routes = (count: number) => Array.from({ length: count }, (_, n) => route("a.test", `/${String(n)}`));
const version = (revision: number, incarnation = "one"): RouteTableVersion => ({
  incarnation,
  epoch: 1,
  revision,
});
const served = { version: version(10), size: 100 };

describe("the trust in a table", () => {
  it("is whole while nothing is served, and for one of at least half of the routes", () => {
    const trust = trustAt(() => 0);
    expect(trust.refusalOf({ version: version(1), routes: [] }, null)).toBeNull();
    expect(trust.refusalOf({ version: version(11), routes: routes(50) }, served)).toBeNull();
    expect(trust.refusalOf({ version: version(11), routes: routes(49) }, served)).toMatch(
      /49 routes where .* 100/,
    );
    const few = { ...served, size: 10 };
    expect(trust.refusalOf({ version: version(11), routes: [] }, few)).toBeNull();
  });

  it("comes after ten minutes, counted anew after a table that was applied", () => {
    let now = 0;
    const trust = trustAt(() => now);
    const shrunk = { version: version(11), routes: routes(1) };
    expect(trust.refusalOf(shrunk, served)).not.toBeNull();
    now = 599_999;
    expect(trust.refusalOf(shrunk, served)).not.toBeNull();
    now = 600_000;
    expect(trust.refusalOf(shrunk, served)).toBeNull();
    trust.accepted();
    expect(trust.refusalOf(shrunk, served)).not.toBeNull();
  });

  it("never comes for what is older", () => {
    const trust = trustAt(() => 0);
    trust.believe();
    expect(trust.refusalOf({ version: version(9), routes: routes(100) }, served)).toMatch(/is older than/);
    expect(trust.refusalOf({ version: version(0, "two"), routes: [] }, served)).toMatch(/was never written/);
  });
});

function trustAt(now: () => number): TableTrust {
  return new TableTrust({ now, monotonicMs: now, sleep: () => Promise.resolve() });
}
