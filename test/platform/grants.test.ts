import type { AppGrants, Caller } from "@dinp/core";
import { describe, expect, it } from "vitest";
import { createWorld, testNode, type World } from "./world.js";

/** A platform whose node runs containers, with the app `shop`. */
async function withContainers(): Promise<World> {
  const world = await createWorld();
  await world.push("shop");
  await world.put("node", { ...testNode, programs: null });
  return world;
}

describe("grants", () => {
  it("belong to the app, and each change of them is a release", async () => {
    await using world = await withContainers();
    const { platform } = world;
    expect(await platform.getGrants("shop")).toEqual({});
    const wanted: AppGrants = { user: "image", capabilities: ["NET_RAW", "CHOWN"], writableRoot: false };
    const release = await platform.setGrants("shop", wanted, world.write());
    expect(release).toMatchObject({
      number: 2,
      note: "granted: the image's user, capabilities CHOWN NET_RAW",
      unchanged: false,
    });
    expect(await platform.getGrants("shop")).toEqual({ user: "image", capabilities: ["CHOWN", "NET_RAW"] });
    const again: AppGrants = { user: "image", capabilities: ["CHOWN", "NET_RAW"], newPrivileges: false };
    expect(await platform.setGrants("shop", again, world.write())).toMatchObject({ unchanged: true });
    const { items } = await platform.pageEvents({ app: "shop" });
    expect(items.filter(({ type }) => type === "app.granted").map(({ message }) => message)).toEqual([
      "shop is granted: the image's user, capabilities CHOWN NET_RAW",
    ]);
    await platform.rollback("shop", { to: 1 }, world.write());
    await platform.changeEnv("shop", { set: { A: "1" } }, world.write());
    expect(await platform.getGrants("shop")).toMatchObject({ user: "image" });
    await platform.setGrants("shop", {}, world.write());
    expect(await platform.getGrants("shop")).toEqual({});
    expect((await world.records("app"))[0]).not.toHaveProperty("grants");
  });

  it("go with the app: another one of its name has none", async () => {
    await using world = await withContainers();
    await world.platform.setGrants("shop", { writableRoot: true }, world.write());
    await world.platform.deleteApp("shop", {}, world.write());
    await world.put("node", testNode);
    await world.push("shop");
    expect(await world.platform.getGrants("shop")).toEqual({});
  });

  it("are an admin's to give and to take", async () => {
    await using world = await withContainers();
    const member: Caller = { tokenId: "t", subject: "mia", role: "member" };
    for (const grants of [{ user: "0" }, {}]) {
      await expect(world.platform.setGrants("shop", grants, { caller: member })).rejects.toMatchObject({
        code: "DINP_FORBIDDEN",
      });
    }
    expect(await world.platform.getGrants("shop")).toEqual({});
    expect(await world.records("release")).toHaveLength(1);
  });

  it.each<[AppGrants, string]>([
    [{ user: "-rf" }, "user"],
    [{ user: "root:root\n" }, "user"],
    [{ user: "" }, "user"],
    [{ user: "1:2:3" }, "user"],
    [{ capabilities: ["CAP_NET_RAW"] }, "capabilities"],
    [{ capabilities: ["ALL"] }, "capabilities"],
    [{ capabilities: ["NET_RAW", "NET_RAW"] }, "capabilities"],
    [{ pidsMax: 0 }, "pidsMax"],
    [{ pidsMax: 1.5 }, "pidsMax"],
    [{ pidsMax: Number.NaN }, "pidsMax"],
    [{ pidsMax: 2 ** 53 }, "pidsMax"],
  ])("%j is refused", async (grants, field) => {
    await using world = await withContainers();
    await expect(world.platform.setGrants("shop", grants, world.write())).rejects.toMatchObject({
      code: "DINP_INVALID",
      details: { field },
      hint: expect.stringMatching(/./) as string,
    });
  });

  it("cannot be had where all nodes run plain processes, but can be taken away", async () => {
    await using world = await withContainers();
    await world.platform.setGrants("shop", { user: "0" }, world.write());
    await world.put("node", testNode);
    await expect(world.platform.setGrants("shop", { user: "1" }, world.write())).rejects.toMatchObject({
      code: "DINP_INVALID",
      hint: 'Start the platform with "dinp up --runtime docker".',
    });
    await world.platform.setGrants("shop", {}, world.write());
    expect(await world.platform.getGrants("shop")).toEqual({});
  });
});
