import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createRedisRouteTable, type RedisPlace } from "@dinp/core/redis";
import { createSystemRandom } from "@dinp/core/system";
import { routeTableSuite } from "@dinp/core/testing";
import { describeWithServices } from "../support/services.js";
import { eventually } from "./redis-support/eventually.js";
import { OwnSentinel } from "./redis-support/sentinel.js";
import { apply, errorOf, hostsOf, put, tableAt, uniqueCluster, watched } from "./redis-support/tables.js";

function placeOf({ sentinel, name }: OwnSentinel): RedisPlace {
  return { sentinels: [sentinel.address], primary: name };
}

/** A fail-over takes some seconds on a quiet machine. */
const long = { timeout: 120_000 };

async function ownSentinel(): Promise<OwnSentinel> {
  const own = await OwnSentinel.start();
  onTestFinished(() => own.dispose());
  return own;
}

describeWithServices(["redis"], "a route table behind Sentinel", () => {
  describe("the contract", () => {
    let own: OwnSentinel;
    beforeAll(async () => {
      // No case is about a fail-over.
      own = await OwnSentinel.start(600_000);
    });
    afterAll(() => own.dispose());
    const suite = routeTableSuite(
      () => {
        const table = createRedisRouteTable({
          redis: placeOf(own),
          cluster: uniqueCluster(),
          random: createSystemRandom(),
          historyMax: 40,
        });
        const dispose = (): Promise<void> => table.close();
        return Promise.resolve({ table, appliesToReset: 80, outage: null, dispose });
      },
      // A pause would be answered by a fail-over, which the tests below are about.
      { supports: { outage: false } },
    );
    for (const { name, run } of suite) it(name, run);
  });

  it("goes on after a fail-over, with its watches, when nothing was lost", long, async () => {
    const own = await ownSentinel();
    const [writer, router] = [tableAt(placeOf(own)), tableAt(placeOf(own))];
    const first = await apply(writer, [put("a.test")], 5);
    const next = watched(router, first);
    const event = next();
    await eventually(() => own.isInSync());
    await own.primary.kill();
    expect(await errorOf(writer.snapshot())).toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
    await eventually(() => own.hasTakenOver(own.replica));
    await eventually(async () => (await hostsOf(writer)).length === 1);
    const second = await writer.apply([put("b.test")], { epoch: 5, ifVersion: first });
    expect(second).toEqual({ ...first, revision: first.revision + 1 });
    expect(await event).toMatchObject({ type: "changes", version: second });
  });

  it(
    "gets another incarnation after a fail-over that lost writes; a primary that comes back late changes nothing",
    long,
    async () => {
      const own = await ownSentinel();
      const [writer, router] = [tableAt(placeOf(own)), tableAt(placeOf(own))];
      const kept = await apply(writer, [put("a.test")], 5);
      await eventually(() => own.isInSync());
      // From here on the replica hears nothing: one that may not PSYNC falls back to SYNC.
      await own.primary.command("ACL", "SETUSER", "default", "-psync", "-sync");
      await own.primary.command("CLIENT", "KILL", "TYPE", "replica");
      const lost = await writer.apply([put("lost.test")], { epoch: 5, ifVersion: kept });
      expect(await hostsOf(router)).toEqual(["a.test", "lost.test"]);
      const event = watched(router, lost)();
      own.primary.pause();
      await eventually(() => own.hasTakenOver(own.replica));
      await eventually(async () => (await hostsOf(writer)).length === 1);
      expect(await event).toEqual({ type: "reset" });
      const left = await writer.snapshot();
      expect(left.version.incarnation).not.toBe(lost.incarnation);
      const renewed = await writer.apply([put("b.test")], { epoch: 5, ifVersion: left.version });
      expect(renewed).toEqual({ ...left.version, epoch: 5, revision: 1 });
      own.primary.resume();
      await eventually(() => own.isInSync(own.primary, own.replica));
      expect(await tableAt(placeOf(own)).snapshot()).toMatchObject({ version: renewed });
      expect(await hostsOf(router)).toEqual(["a.test", "b.test"]);
    },
  );

  it("cannot be reached when no sentinel can, and says so in bounded time", async () => {
    const own = await ownSentinel();
    await own.sentinel.kill();
    expect(await errorOf(tableAt(placeOf(own)).snapshot())).toMatchObject({
      code: "DINP_UNAVAILABLE",
      retryable: true,
    });
  });
});
