import { describe, expect, it } from "vitest";
import { until } from "../adapters/support/until.js";
import { usePlatform } from "./use-platform.js";

const { dinp, ok } = usePlatform();

describe("routers", () => {
  it("are listed with how far they are: one at work, and one that was only added", async () => {
    const added = await ok(["routers", "add", "edge-1", "--address", "10.0.0.7"]);
    expect(added.err).toBe("The router edge-1 is waited for from now on\n");
    await until(async () => (await ok(["routers"])).out.includes(" present "), "the router at work");
    const { out } = await ok(["routers"]);
    expect(out).toMatch(/^ROUTER +ADDRESS +REGISTERED +TABLE +BUSY +PORTS WAITING\n/);
    expect(out).toMatch(/^edge-1 +10\.0\.0\.7 .* none yet +0 +0$/m);
    expect(out).toMatch(/^router-1 +here .* present +0 +0$/m);
    const { items } = JSON.parse((await ok(["routers", "--json"])).out) as { items: object[] };
    expect(items).toMatchObject([
      { id: "edge-1", acknowledged: null, behind: null },
      { id: "router-1", behind: 0, holdsUp: 0 },
    ]);
    expect((await ok(["routers", "forget", "edge-1"])).err).toBe(
      "Nothing waits for the router edge-1 any more\n",
    );
    const gone = await dinp(["routers", "forget", "edge-1"]);
    expect(gone.code).toBe(5);
  });

  it("at work are not forgotten by mistake", async () => {
    const refused = await dinp(["routers", "forget", "router-1"]);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('it seems to be at work: "router-1"');
    expect((await ok(["routers"])).out).toContain("router-1");
  });

  it("have ids", async () => {
    const run = await dinp(["routers", "add", "a/b"]);
    expect(run.code).toBe(2);
    expect(run.err).toContain("cannot name a router");
  });
});

describe("routers token", () => {
  it("prints the token alone, and is listed without it until it is revoked", async () => {
    expect((await ok(["routers", "tokens"])).err).toMatch(/^Routers have no token/);
    const made = await ok(["routers", "token"]);
    expect(made.out).toMatch(/^dinp_[0-9a-z]{52}\n$/);
    const id = /\((token-[0-9a-z]+)\)/.exec(made.err)?.[1] ?? "";
    const listed = await ok(["routers", "tokens"]);
    expect(listed.out).toContain(id);
    expect(listed.out).not.toContain(made.out.trim());
    const asRouter = await dinp(["apps"], { env: { DINP_TOKEN: made.out.trim() } });
    expect(asRouter.code).toBe(3);
    await ok(["routers", "revoke-token", id]);
    expect((await ok(["routers", "tokens", "--json"])).out).toBe('{\n  "items": []\n}\n');
  });
});
