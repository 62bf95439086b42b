import { describe, expect, it } from "vitest";
import { usePlatform } from "./use-platform.js";

const { dinp, ok } = usePlatform();

describe("nodes join-token", () => {
  it("prints the token alone, and is listed without it until it is revoked", async () => {
    const made = await ok(["nodes", "join-token", "--ttl", "10m"]);
    expect(made.out).toMatch(/^dinpj_[0-9a-z]{52}\n$/);
    const id = /\((join-[0-9a-z]+)\) for 10 min/.exec(made.err)?.[1] ?? "";
    const list = await ok(["nodes", "join-tokens"]);
    expect(list.out).toContain(id);
    expect(list.out).not.toContain(made.out.trim());
    expect((await ok(["nodes", "revoke-token", id])).err).toBe(`No node can join by ${id} any more\n`);
    expect((await ok(["nodes", "join-tokens"])).err).toMatch(/^No node can join just now/);
    expect((await dinp(["nodes", "revoke-token", id])).code).not.toBe(0);
  });

  it("is the API's JSON for machines", async () => {
    const token: unknown = JSON.parse((await ok(["nodes", "join-token", "--json"])).out);
    expect(token).toMatchObject({ secret: expect.stringMatching(/^dinpj_/) as string });
    const { items } = JSON.parse((await ok(["nodes", "join-tokens", "--json"])).out) as { items: object[] };
    expect(items.some((item) => "secret" in item)).toBe(false);
  });

  it.each(["0m", "10", "1w", "31d", "-1h"])("refuses --ttl %s", async (ttl) => {
    const run = await dinp(["nodes", "join-token", `--ttl=${ttl}`]);
    expect(run.code).toBe(2);
    expect(run.err).toMatch(/minutes, hours or days/);
  });
});

describe("nodes revoke", () => {
  it("says that no such node has joined", async () => {
    const run = await dinp(["nodes", "revoke", "nowhere"]);
    expect(run.err).toMatch(/No node has joined as "nowhere"/);
    expect(run.code).toBe(5);
  });
});
