import { onTestFinished, expect, it } from "vitest";
import { describeWithServices } from "../support/services.js";
import { OwnRedis, type OwnRedisOptions } from "./redis-support/own-redis.js";
import { apply, errorOf, hostsOf, put, route, tableAt, watched } from "./redis-support/tables.js";

async function ownRedis(options?: OwnRedisOptions): Promise<OwnRedis> {
  const server = await OwnRedis.start(options);
  onTestFinished(() => server.dispose());
  return server;
}

/** What is saved by SAVE is there after a restart, and nothing that came later. */
const kept = { lines: [["dbfilename", "dump.rdb"]] } as const;

describeWithServices(["redis"], "a route table whose Redis loses all", () => {
  it.each([
    ["is flushed", (server: OwnRedis) => server.command("FLUSHALL")],
    [
      "restarts without its data",
      async (server: OwnRedis) => {
        await server.kill();
        await server.start();
      },
    ],
  ])(
    "78 and %s: begins a new incarnation, which watches tell of, and can be written anew",
    async (_, lose) => {
      const server = await ownRedis();
      const [writer, router] = [tableAt({ url: server.url }), tableAt({ url: server.url })];
      const past = await apply(writer, [put("a.test")], 5);
      await router.acknowledge({ routerId: "r", version: past, busy: [] });
      const next = watched(router, past);
      const event = next();
      await lose(server);
      expect(await event).toEqual({ type: "reset" });
      expect(await next()).toBeNull();
      const { version, routes } = await router.snapshot();
      expect(version).toEqual({ incarnation: expect.any(String) as string, epoch: 0, revision: 0 });
      expect(version.incarnation).not.toBe(past.incarnation);
      expect(routes).toEqual([]);
      expect(await router.acknowledgements()).toEqual([]);
      const call = writer.apply([put("b.test")], { epoch: 5, ifVersion: past });
      expect(await errorOf(call)).toMatchObject({ code: "DINP_ROUTE_VERSION" });
      expect(await apply(writer, [put("a.test")], 5)).toEqual({ ...version, epoch: 5, revision: 1 });
      expect(await hostsOf(router)).toEqual(["a.test"]);
    },
  );
});

describeWithServices(["redis"], "a route table whose Redis loses its newest versions", () => {
  it("82 gets another incarnation with the next apply; until then routers see what is left as an older version", async () => {
    const server = await ownRedis(kept);
    const [writer, router] = [tableAt({ url: server.url }), tableAt({ url: server.url })];
    const saved = await apply(writer, [put("a.test"), put("b.test")], 5);
    await server.command("SAVE");
    const lost = await apply(writer, [{ op: "delete", host: "a.test", path: "/" }], 5);
    const next = watched(router, lost);
    const event = next();
    await server.kill();
    await server.start();
    expect(await event).toEqual({ type: "reset" });
    expect(await router.snapshot()).toEqual({ version: saved, routes: [route("a.test"), route("b.test")] });

    const left = await writer.snapshot();
    expect(left.version).toMatchObject({ epoch: 0, revision: 0 });
    expect(left.version.incarnation).not.toBe(lost.incarnation);
    expect(left.routes).toEqual([route("a.test"), route("b.test")]);
    expect(await writer.snapshot()).toEqual(left);
    // To anybody else the table still is what it was, until that is put right.
    expect((await router.snapshot()).version).toEqual(saved);

    const fenced = writer.apply([], { epoch: 4, ifVersion: left.version });
    expect(await errorOf(fenced)).toMatchObject({ code: "DINP_FENCED" });
    const waiting = watched(router, saved)();
    const renewed = await writer.apply([{ op: "delete", host: "a.test", path: "/" }], {
      epoch: 5,
      ifVersion: left.version,
    });
    expect(renewed).toEqual({ incarnation: left.version.incarnation, epoch: 5, revision: 1 });
    expect(await waiting).toEqual({ type: "reset" });
    expect(await router.snapshot()).toEqual({ version: renewed, routes: [route("b.test")] });
    const more = await apply(writer, [put("c.test")], 5);
    expect(more).toEqual({ ...renewed, revision: 2 });
    expect(await watched(router, renewed)()).toMatchObject({ type: "changes", version: more });
  });

  it("is not written on in its incarnation by an apply that knew the lost version", async () => {
    const server = await ownRedis(kept);
    const writer = tableAt({ url: server.url });
    const saved = await apply(writer, [put("a.test")], 5);
    await server.command("SAVE");
    await apply(writer, [put("b.test")], 5);
    await server.kill();
    await server.start();
    // It would make the lost version's number a second time.
    const call = writer.apply([put("c.test")], { epoch: 5, ifVersion: saved });
    expect(await errorOf(call)).toMatchObject({ code: "DINP_ROUTE_VERSION" });
    expect(await hostsOf(tableAt({ url: server.url }))).toEqual(["a.test"]);
  });

  it("gets another incarnation also when no answer came to the apply that was lost", async () => {
    const server = await ownRedis(kept);
    const writer = tableAt({ url: server.url }, { commandTimeoutMs: 2_000 });
    const saved = await apply(writer, [put("a.test")], 5);
    await server.command("SAVE");
    server.pause();
    const call = writer.apply([put("b.test")], { epoch: 5, ifVersion: saved });
    expect(await errorOf(call)).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
    await server.kill();
    await server.start();
    // A router may have seen the version that is now in doubt.
    const { version } = await writer.snapshot();
    expect(version).toMatchObject({ epoch: 0, revision: 0 });
    expect(version.incarnation).not.toBe(saved.incarnation);
    expect(await apply(writer, [put("c.test")], 5)).toEqual({ ...version, epoch: 5, revision: 1 });
    expect(await hostsOf(writer)).toEqual(["a.test", "c.test"]);
  });

  it("keeps its incarnation when the apply without an answer was made after all", async () => {
    const server = await ownRedis();
    const writer = tableAt({ url: server.url }, { commandTimeoutMs: 2_000 });
    const before = await apply(writer, [put("a.test")], 5);
    server.pause();
    const call = writer.apply([put("b.test")], { epoch: 5, ifVersion: before });
    expect(await errorOf(call)).toMatchObject({ code: "DINP_UNAVAILABLE" });
    const seen = watched(tableAt({ url: server.url }), before)();
    server.resume();
    expect(await seen).toMatchObject({ type: "changes", changes: [put("b.test")] });
    const made = { ...before, revision: before.revision + 1 };
    expect((await writer.snapshot()).version).toEqual(made);
    expect(await apply(writer, [put("c.test")], 5)).toEqual({ ...made, revision: made.revision + 1 });
  });

  it("is another incarnation to its writer also when an older one that was thought gone comes back", async () => {
    const server = await ownRedis(kept);
    const writer = tableAt({ url: server.url });
    await apply(writer, [put("a.test")], 5);
    await server.command("SAVE");
    const lost = await apply(writer, [put("b.test")], 5);
    await server.command("FLUSHALL");
    await apply(writer, [put("c.test")], 5);
    await server.kill();
    await server.start();
    const { version, routes } = await writer.snapshot();
    expect(routes).toEqual([route("a.test")]);
    expect(version.incarnation).not.toBe(lost.incarnation);
  });

  it("is written by a new leader as it is: its epoch tells its versions from those that were lost", async () => {
    const server = await ownRedis(kept);
    const old = tableAt({ url: server.url });
    const saved = await apply(old, [put("a.test")], 5);
    await server.command("SAVE");
    const lost = await apply(old, [put("b.test")], 5);
    await server.kill();
    await server.start();
    const leader = tableAt({ url: server.url });
    expect(await apply(leader, [], 6)).toEqual({ ...saved, epoch: 6, revision: lost.revision });
    expect(await watched(leader, lost)()).toEqual({ type: "reset" });
  });
});
