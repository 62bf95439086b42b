import type { Caller, ClusterSource, Platform, RouterProgress } from "@dinp/core";
import { describe, expect, it } from "vitest";
import { createWorld, type World } from "./world.js";

const noLeader = (): never => {
  throw new Error("No server leads here.");
};
const silent: ClusterSource = {
  ...{ exec: noLeader, runOnce: noLeader, plan: noLeader },
  ...{ nextStartAt: () => null, routing: () => null, nodeLink: () => null, routerProgress: () => null },
};
const acknowledged = { incarnation: "one", epoch: 1, revision: 7 };
const progress: RouterProgress = { acknowledged, behind: 2, busy: 1, holdsUp: 3 };

/** A world whose leading server says this of every router. */
async function worldWith(said: { progress: RouterProgress | null } = { progress: null }): Promise<World> {
  return await createWorld({ cluster: () => ({ ...silent, routerProgress: () => said.progress }) });
}

function as(world: World, role: Caller["role"]): { readonly caller: Caller } {
  return { caller: { ...world.caller, role } };
}

describe("a router", () => {
  it("is registered once, however often it says so, and keeps its time until it was forgotten", async () => {
    await using world = await worldWith();
    const { platform, clock } = world;
    const first = await platform.registerRouter("edge-1", { address: "10.0.0.7" }, as(world, "router"));
    expect(first).toMatchObject({ id: "edge-1", address: "10.0.0.7", holdsUp: null, acknowledged: null });
    const { revision } = await world.store.snapshot({ kinds: ["router"] });
    clock.offsetMs = 60_000;
    expect(await platform.registerRouter("edge-1", {}, world.write("key"))).toEqual(first);
    expect((await world.store.snapshot({ kinds: ["router"] })).revision).toBe(revision);
    const moved = await platform.registerRouter("edge-1", { address: "10.0.0.8" }, world.write());
    expect(moved).toEqual({ ...first, address: "10.0.0.8" });
    expect(await platform.listRouters()).toEqual([moved]);
    await platform.forgetRouter("edge-1", { confirm: true }, world.write());
    expect(await platform.listRouters()).toEqual([]);
    const again = await platform.registerRouter("edge-1", {}, world.write());
    expect(again.registeredAt).toBeGreaterThan(first.registeredAt);
    const { items } = await platform.pageEvents({ type: "router" });
    expect(items.map(({ type }) => type)).toEqual([
      "router.registered",
      "router.forgotten",
      "router.registered",
    ]);
  });

  it("that seems to be at work, or of which nothing is known, is forgotten after a confirmation only", async () => {
    const said: { progress: RouterProgress | null } = { progress };
    await using world = await worldWith(said);
    const { platform } = world;
    const needed = { code: "DINP_CONFIRMATION_REQUIRED" };
    for (const present of [null, { ...progress, behind: 0 }]) {
      said.progress = present;
      await platform.registerRouter("r", {}, world.write());
      await expect(platform.forgetRouter("r", {}, world.write())).rejects.toMatchObject(needed);
      await platform.forgetRouter("r", { confirm: true }, world.write());
    }
    for (const behind of [1, null]) {
      said.progress = { ...progress, behind };
      await platform.registerRouter("r", {}, world.write());
      expect(await platform.forgetRouter("r", {}, world.write())).toEqual({ deleted: true });
    }
    await expect(platform.forgetRouter("r", {}, world.write())).rejects.toMatchObject({
      code: "DINP_NOT_FOUND",
    });
  });

  it("is listed with what the leading server knows of it", async () => {
    await using world = await worldWith({ progress });
    await world.platform.registerRouter("r", {}, world.write());
    expect((await world.platform.listRouters())[0]).toMatchObject({ ...progress });
  });

  it.each(["", "a b", "-a", "a/b", "x".repeat(65), "ä"])("is not called %j", async (id) => {
    await using world = await worldWith();
    const registering = async (): Promise<unknown> => world.platform.registerRouter(id, {}, world.write());
    await expect(registering()).rejects.toMatchObject({ code: "DINP_INVALID", details: { field: "id" } });
  });

  it("is registered by admins and routers, forgotten by admins alone", async () => {
    await using world = await worldWith();
    const { platform } = world;
    const refused = { code: "DINP_FORBIDDEN" };
    const asMember = async (): Promise<unknown> => platform.registerRouter("r", {}, as(world, "member"));
    await expect(asMember()).rejects.toMatchObject(refused);
    await platform.registerRouter("r", {}, as(world, "router"));
    for (const role of ["member", "router"] as const) {
      const forgetting = async (): Promise<unknown> =>
        platform.forgetRouter("r", { confirm: true }, as(world, role));
      await expect(forgetting()).rejects.toMatchObject(refused);
    }
  });
});

describe("a router's token", () => {
  it("is told once, registers routers, changes nothing else, and ends when it is revoked", async () => {
    await using world = await worldWith();
    const { platform } = world;
    await world.push("hello");
    const { id, secret } = await platform.createRouterToken(world.write("key"));
    expect((await platform.createRouterToken(world.write("key"))).id).not.toBe(id);
    const { records } = await world.store.snapshot();
    expect(JSON.stringify(records)).not.toContain(secret);
    const caller = await platform.authenticate(secret);
    expect(caller.role).toBe("router");
    await platform.registerRouter("r", {}, { caller });
    const changes: readonly (readonly [string, (platform: Platform) => Promise<unknown>])[] = [
      ["scale", (on) => on.scaleApp("hello", { instances: 2 }, { caller })],
      ["delete", (on) => on.deleteApp("hello", {}, { caller })],
      ["join token", (on) => on.createJoinToken({}, { caller })],
      ["router token", (on) => on.createRouterToken({ caller })],
      ["environment", (on) => on.changeEnv("hello", { set: { A: "1" } }, { caller })],
    ];
    for (const [what, act] of changes) {
      const acting = async (): Promise<unknown> => act(platform);
      await expect(acting(), what).rejects.toMatchObject({ code: "DINP_FORBIDDEN" });
    }
    await platform.revokeRouterToken(id, world.write());
    await expect(platform.authenticate(secret)).rejects.toMatchObject({ code: "DINP_UNAUTHENTICATED" });
    expect(await platform.listRouterTokens()).toHaveLength(1);
    expect((await platform.listRouters()).map((router) => router.id)).toEqual(["r"]);
  });

  it("is an admin's to make and to revoke; other tokens are not revoked as such", async () => {
    await using world = await worldWith();
    const { platform } = world;
    const { id } = await platform.createRouterToken(world.write());
    const member = as(world, "member");
    const acts = [() => platform.createRouterToken(member), () => platform.revokeRouterToken(id, member)];
    for (const act of acts) {
      const acting = async (): Promise<unknown> => act();
      await expect(acting()).rejects.toMatchObject({ code: "DINP_FORBIDDEN" });
    }
    const own = platform.revokeRouterToken(world.caller.tokenId, world.write());
    await expect(own).rejects.toMatchObject({ code: "DINP_NOT_FOUND" });
    expect(await platform.authenticate(world.secret)).toBeDefined();
  });
});
