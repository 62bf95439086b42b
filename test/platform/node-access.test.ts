import { createHash, randomBytes } from "node:crypto";
import { createNodeGate, type AdmissionRequest, type NodeGate } from "@dinp/core";
import { createNodeHasher, createSystemRandom } from "@dinp/core/system";
import { describe, expect, it } from "vitest";
import { createWorld, testNode, type World } from "./world.js";

const { signal } = new AbortController();
const HOUR_MS = 3_600_000;

function gateOf({ store, clock }: World): NodeGate {
  return createNodeGate({ store, clock, random: createSystemRandom(), hasher: createNodeHasher() });
}

function newKey(): { readonly key: string; readonly hash: string } {
  const key = `dinpn_${randomBytes(32).toString("hex")}`;
  return { key, hash: createHash("sha256").update(key).digest("hex") };
}

function byKey(nodeId: string, secret: string): AdmissionRequest {
  return { nodeId, secret, newKeyHash: null };
}

/** A world where `node-a` has joined. */
async function joined() {
  const world = await createWorld();
  const gate = gateOf(world);
  const { secret, id } = await world.platform.createJoinToken({}, world.write());
  const first = newKey();
  const join = { nodeId: "node-a", secret, newKeyHash: first.hash };
  const admission = await gate.admit(join, { signal });
  const admit = (request: AdmissionRequest) => gate.admit(request, { signal });
  const dispose = (): PromiseLike<void> => world[Symbol.asyncDispose]();
  return { world, gate, admit, join, tokenId: id, first, admission, [Symbol.asyncDispose]: dispose };
}

describe("join tokens", () => {
  it("make nodes join, each with the key of its choice; the same again changes nothing", async () => {
    await using scene = await joined();
    const { world, admit, join, first } = scene;
    const [before] = await world.records("nodeCredential");
    expect(await admit(join)).toEqual({ nodeId: "node-a", keyHash: first.hash });
    expect(await world.records("nodeCredential")).toEqual([before]);
    expect(await admit(byKey("node-a", first.key))).toEqual({ nodeId: "node-a", keyHash: first.hash });
    await admit({ ...join, nodeId: "node-b", newKeyHash: newKey().hash });
    expect((await world.records("nodeCredential")).map(({ nodeId }) => nodeId)).toEqual(["node-a", "node-b"]);
  });

  it("are refused once they have expired or are revoked, and when they never were", async () => {
    await using scene = await joined();
    const { world, admit, join, tokenId } = scene;
    const other = { ...join, nodeId: "node-b", newKeyHash: newKey().hash };
    await expect(admit({ ...other, secret: `dinpj_${"0".repeat(52)}` })).rejects.toMatchObject({
      code: "DINP_UNAUTHENTICATED",
    });
    const damaged = {
      message: expect.stringContaining("join token"),
      hint: expect.stringContaining("join-token"),
    };
    for (const wrong of [`dinpj_${"0".repeat(51)}`, "change-me"])
      await expect(admit({ ...other, secret: wrong })).rejects.toMatchObject(damaged);
    world.clock.offsetMs = HOUR_MS + 1;
    await expect(admit(other)).rejects.toMatchObject({ code: "DINP_UNAUTHENTICATED" });
    expect(await world.platform.listJoinTokens()).toEqual([]);
    world.clock.offsetMs = 0;
    await world.platform.revokeJoinToken(tokenId, world.write());
    await expect(admit(other)).rejects.toMatchObject({ code: "DINP_UNAUTHENTICATED" });
    await expect(world.platform.revokeJoinToken(tokenId, world.write())).rejects.toMatchObject({
      code: "DINP_NOT_FOUND",
    });
  });

  it("do not take over the id of a node that has joined", async () => {
    await using scene = await joined();
    const { admit, join, first } = scene;
    await expect(admit({ ...join, newKeyHash: newKey().hash })).rejects.toMatchObject({
      code: "DINP_CONFLICT",
      hint: expect.stringContaining("dinp nodes revoke node-a") as string,
    });
    expect(await admit(byKey("node-a", first.key))).toMatchObject({ nodeId: "node-a" });
  });

  it("are told once: neither the store nor a repeated request has the secret", async () => {
    await using world = await createWorld();
    const one = await world.platform.createJoinToken({}, world.write("same-key"));
    const two = await world.platform.createJoinToken({}, world.write("same-key"));
    expect(two.id).not.toBe(one.id);
    const { records } = await world.store.snapshot();
    expect(JSON.stringify(records)).not.toMatch(new RegExp(`${one.secret}|${two.secret}`));
    expect(JSON.stringify(await world.platform.listJoinTokens())).not.toContain("dinpj_");
  });

  it("that have expired are tidied away", async () => {
    await using scene = await joined();
    const { world } = scene;
    world.clock.offsetMs = HOUR_MS + 1;
    await world.platform.tidy();
    expect(await world.records("joinToken")).toEqual([]);
  });

  it.each([0, 59_999, 1.5, Number.NaN, 30 * 24 * HOUR_MS + 1])("are not made for %d ms", async (ttlMs) => {
    await using world = await createWorld();
    await expect(world.platform.createJoinToken({ ttlMs }, world.write())).rejects.toMatchObject({
      code: "DINP_INVALID",
      details: { field: "ttlMs" },
    });
  });

  it("are an admin's to make and to revoke, as are nodes", async () => {
    await using scene = await joined();
    const { world, tokenId } = scene;
    const { platform } = world;
    const options = { caller: { ...world.caller, role: "member" as const } };
    const refused = { code: "DINP_FORBIDDEN" };
    await expect(platform.createJoinToken({}, options)).rejects.toMatchObject(refused);
    await expect(platform.revokeJoinToken(tokenId, options)).rejects.toMatchObject(refused);
    await expect(platform.revokeNode("node-a", options)).rejects.toMatchObject(refused);
  });
});

describe("a node's key", () => {
  it("speaks for its own node alone", async () => {
    await using scene = await joined();
    const { admit, join, first } = scene;
    await admit({ ...join, nodeId: "node-b", newKeyHash: newKey().hash });
    for (const request of [
      byKey("node-b", first.key),
      byKey("node-c", first.key),
      byKey("node-a", newKey().key),
    ])
      await expect(admit(request)).rejects.toMatchObject({ code: "DINP_UNAUTHENTICATED" });
  });

  it("is changed with an overlap, after which the old one is refused", async () => {
    await using scene = await joined();
    const { world, gate, admit, first, admission } = scene;
    const second = newKey();
    const rotated = await gate.rotate(admission, second.hash, { signal });
    expect(await gate.rotate(admission, second.hash, { signal })).toEqual(rotated);
    for (const { key } of [first, second]) expect(await admit(byKey("node-a", key))).toBeDefined();
    world.clock.offsetMs = 24 * HOUR_MS + 1_000;
    await expect(admit(byKey("node-a", first.key))).rejects.toMatchObject({ code: "DINP_UNAUTHENTICATED" });
    expect(await admit(byKey("node-a", second.key))).toEqual({ nodeId: "node-a", keyHash: second.hash });
  });

  it("that is not the newest makes no other", async () => {
    await using scene = await joined();
    const { gate, admit, first, admission } = scene;
    await gate.rotate(admission, newKey().hash, { signal });
    const old = await admit(byKey("node-a", first.key));
    await expect(gate.rotate(old, newKey().hash, { signal })).rejects.toMatchObject({
      code: "DINP_FORBIDDEN",
    });
  });

  it("of a revoked node is refused, says why, and older join tokens do not help; a newer one does", async () => {
    await using scene = await joined();
    const { world, gate, admit, join, first, admission } = scene;
    await world.platform.revokeNode("node-a", world.write());
    const refused = { code: "DINP_FORBIDDEN", message: "The node node-a was revoked." };
    await expect(admit(byKey("node-a", first.key))).rejects.toMatchObject(refused);
    await expect(admit(join)).rejects.toMatchObject(refused);
    await expect(gate.rotate(admission, newKey().hash, { signal })).rejects.toMatchObject(refused);
    world.clock.offsetMs = 1_000;
    const { secret } = await world.platform.createJoinToken({}, world.write());
    const again = newKey();
    await admit({ nodeId: "node-a", secret, newKeyHash: again.hash });
    expect(await admit(byKey("node-a", again.key))).toBeDefined();
    await expect(admit(byKey("node-a", first.key))).rejects.toMatchObject({ code: "DINP_UNAUTHENTICATED" });
  });

  it.each(["", "A", "a b", "-a", "a/b", "x".repeat(64)])("is not given to %j", async (nodeId) => {
    await using scene = await joined();
    const { gate, join } = scene;
    const admitting = async (): Promise<unknown> => gate.admit({ ...join, nodeId }, { signal });
    await expect(admitting()).rejects.toMatchObject({ code: "DINP_INVALID" });
  });
});

describe("revoked nodes", () => {
  it("are told to who watches, those of before and those that come", async () => {
    await using scene = await joined();
    const { world, gate, admit, join } = scene;
    await admit({ ...join, nodeId: "node-b", newKeyHash: newKey().hash });
    await world.platform.revokeNode("node-a", world.write());
    const ending = new AbortController();
    const told = gate.watchRevoked({ signal: ending.signal })[Symbol.asyncIterator]();
    expect(await told.next()).toEqual({ done: false, value: "node-a" });
    const next = told.next();
    await world.platform.revokeNode("node-b", world.write());
    expect(await next).toEqual({ done: false, value: "node-b" });
    ending.abort();
    expect((await told.next()).done).toBe(true);
  });

  it("are listed as such, and what nobody knows of a node's connection is not made up", async () => {
    await using scene = await joined();
    const { world } = scene;
    await world.put("node", { ...testNode, id: "node-a" });
    await world.platform.revokeNode("node-a", world.write());
    const nodes = await world.platform.listNodes();
    const [node] = nodes.filter(({ id }) => id === "node-a");
    expect(node).toMatchObject({ connected: null, lastSeenAt: null });
    expect(node?.revokedAt).toBeGreaterThanOrEqual(node?.joinedAt ?? Infinity);
    const [event] = (await world.platform.pageEvents({ type: "node.revoked" })).items;
    expect(event?.message).toBe("the node node-a is let in no more");
    await expect(world.platform.revokeNode("node-z", world.write())).rejects.toMatchObject({
      code: "DINP_NOT_FOUND",
    });
  });
});
