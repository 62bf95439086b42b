import assert from "node:assert/strict";
import { later, Reader, rejectsAsMisuse, rejectsWith, vandalize } from "./conformance.js";
import { acknowledgement, apply, put, tableCase, type TableCase, versionOf } from "./route-table-harness.js";

export const acknowledgementCases: readonly TableCase[] = [
  tableCase("the newest acknowledgement of each router is kept", async ({ table }) => {
    assert.deepEqual(await table.acknowledgements(), []);
    const first = await apply(table, [put("a.test")], 1);
    const second = await apply(table, [put("b.test")], 2);
    await table.acknowledge(acknowledgement("r1", first, ["i-1"]));
    await table.acknowledge(acknowledgement("r2", second));
    await table.acknowledge(acknowledgement("r1", second, ["i-1", "i-2"]));
    await table.acknowledge(acknowledgement("r1", first));
    const all = [...(await table.acknowledgements())].sort((a, b) => (a.routerId < b.routerId ? -1 : 1));
    assert.deepEqual(all, [acknowledgement("r1", second, ["i-1", "i-2"]), acknowledgement("r2", second)]);
    await table.acknowledge(acknowledgement("r1", second, ["i-2"]));
    const again = (await table.acknowledgements()).find(({ routerId }) => routerId === "r1");
    assert.deepEqual(again, acknowledgement("r1", second, ["i-2"]));
  }),

  tableCase(
    "an acknowledgement of the table's past incarnation gives way to one of the present",
    async ({ table }) => {
      const present = await apply(table, [put("a.test")], 1);
      const past = { incarnation: `${present.incarnation}-old`, epoch: 99, revision: 999 };
      await table.acknowledge(acknowledgement("r", past));
      await table.acknowledge(acknowledgement("r", present));
      await table.acknowledge(acknowledgement("r", past));
      assert.deepEqual(await table.acknowledgements(), [acknowledgement("r", present)]);
    },
  ),

  tableCase("an acknowledgement of a version that is still to come is refused", async ({ table }) => {
    const version = await apply(table, [put("a.test")], 1);
    for (const future of [
      { ...version, revision: version.revision + 1 },
      { ...version, epoch: version.epoch + 1 },
    ]) {
      await rejectsWith("DINP_ROUTE_VERSION", () => table.acknowledge(acknowledgement("r", future)));
    }
    assert.deepEqual(await table.acknowledgements(), []);
  }),

  tableCase(
    "a change of acknowledgements wakes their watchers, also when it came before the first read",
    async ({ table }) => {
      const controller = new AbortController();
      const version = await versionOf(table);
      const hints = new Reader<unknown>(table.watchAcknowledgements({ signal: controller.signal }));
      await table.acknowledge(acknowledgement("r", version));
      await hints.next();
      const next = later(hints.next());
      await table.acknowledge(acknowledgement("r", version, ["i"]));
      await next;
      controller.abort();
      await hints.expectEnd();
    },
  ),

  tableCase("acknowledgements go in and come out as copies", async ({ table }) => {
    const version = await versionOf(table);
    const mine = { routerId: "r", version: { ...version }, busy: ["i-1"] };
    const pending = table.acknowledge(mine);
    vandalize(mine);
    await pending;
    vandalize(await table.acknowledgements());
    assert.deepEqual(await table.acknowledgements(), [acknowledgement("r", version, ["i-1"])]);
  }),

  tableCase(
    "an acknowledgement without a router or with a version that is none is misuse",
    async ({ table }) => {
      const version = await versionOf(table);
      await rejectsAsMisuse(() => table.acknowledge(acknowledgement("", version)));
      for (const revision of [-1, 0.5, Number.NaN]) {
        await rejectsAsMisuse(() => table.acknowledge(acknowledgement("r", { ...version, revision })));
      }
      assert.deepEqual(await table.acknowledgements(), []);
    },
  ),
];
