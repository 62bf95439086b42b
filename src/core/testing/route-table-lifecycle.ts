import assert from "node:assert/strict";
import { collect, later, Reader, rejectsWith, vandalize } from "./conformance.js";
import {
  acknowledgement,
  apply,
  put,
  route,
  tableCase,
  type TableCase,
  versionOf,
  watched,
} from "./route-table-harness.js";

export const tableLifecycleCases: readonly TableCase[] = [
  tableCase("routes go in and come out as copies", async ({ table }) => {
    const start = await versionOf(table);
    const mine = { ...route("a.test"), endpoints: [{ instanceId: "i", host: "h", port: 1 }] };
    const expected = structuredClone(mine);
    const pending = table.apply([{ op: "put", route: mine }], { epoch: start.epoch, ifVersion: start });
    vandalize(mine);
    await pending;
    vandalize(await table.snapshot());
    const { reader, stop } = await watched(table, start);
    vandalize(await reader.next());
    stop();
    assert.deepEqual((await table.snapshot()).routes, [expected]);
  }),

  tableCase(
    "an aborted signal rejects every call with DINP_ABORTED and changes nothing",
    async ({ table }) => {
      const before = await table.snapshot();
      const { version } = before;
      const signal = AbortSignal.abort();
      await rejectsWith("DINP_ABORTED", () => table.snapshot({ signal }));
      await rejectsWith("DINP_ABORTED", () =>
        table.apply([put("a.test")], { epoch: 1, ifVersion: version, signal }),
      );
      await rejectsWith("DINP_ABORTED", () => table.acknowledge(acknowledgement("r", version), { signal }));
      await rejectsWith("DINP_ABORTED", () => table.acknowledgements({ signal }));
      assert.deepEqual(await table.snapshot(), before);
      assert.deepEqual(await table.acknowledgements(), []);
    },
  ),

  tableCase("close ends watches, and after it every method rejects with DINP_CLOSED", async ({ table }) => {
    const version = await versionOf(table);
    const { signal } = new AbortController();
    const { reader } = await watched(table);
    const hints = new Reader<unknown>(table.watchAcknowledgements({ signal }));
    const ends = [later(reader.expectEnd()), later(hints.expectEnd())];
    await table.snapshot();
    await table.close();
    await table.close();
    await Promise.all(ends);
    await rejectsWith("DINP_CLOSED", () => table.snapshot());
    await rejectsWith("DINP_CLOSED", () => table.apply([], { epoch: 1, ifVersion: version }));
    await rejectsWith("DINP_CLOSED", () => table.acknowledge(acknowledgement("r", version)));
    await rejectsWith("DINP_CLOSED", () => table.acknowledgements());
    await rejectsWith("DINP_CLOSED", () => collect(table.watch({ after: version, signal })));
    await rejectsWith("DINP_CLOSED", () => collect(table.watchAcknowledgements({ signal })));
  }),

  tableCase(
    "while the backend does not answer every call rejects with DINP_UNAVAILABLE, retryable, and nothing looks empty",
    async ({ table, outage }) => {
      assert.ok(outage);
      const version = await apply(table, [put("a.test")]);
      await table.acknowledge(acknowledgement("r", version));
      const end = await outage();
      const calls: readonly (() => Promise<unknown>)[] = [
        () => table.snapshot(),
        () => table.apply([], { epoch: version.epoch, ifVersion: version }),
        () => table.acknowledge(acknowledgement("r", version, ["i"])),
        () => table.acknowledgements(),
      ];
      try {
        for (const call of calls) {
          const { retryable } = await rejectsWith("DINP_UNAVAILABLE", call);
          assert.equal(retryable, true);
        }
      } finally {
        await end();
      }
      assert.deepEqual(await table.snapshot(), { version, routes: [route("a.test")] });
      assert.deepEqual(await table.acknowledgements(), [acknowledgement("r", version)]);
    },
    { requires: "outage" },
  ),
];
