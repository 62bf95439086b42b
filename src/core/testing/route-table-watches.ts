import assert from "node:assert/strict";
import type { RouteTableEvent, RouteTableVersion } from "../ports/route-table.js";
import { collect, later, within } from "./conformance.js";
import { apply, put, tableCase, type TableCase, versionOf, watched } from "./route-table-harness.js";

function revisionOf(event: RouteTableEvent): number {
  return event.type === "changes" ? event.version.revision : -1;
}

export const tableWatchCases: readonly TableCase[] = [
  tableCase("a watch yields every later version with its changes, in order", async ({ table }) => {
    const start = await versionOf(table);
    const { reader, stop } = await watched(table, start);
    const live = later(reader.next());
    const first = await apply(table, [put("a.test"), put("b.test")]);
    const changes = [put("a.test"), put("b.test")];
    assert.deepEqual(await live, { type: "changes", version: first, changes });
    const second = await apply(table, [{ op: "delete", host: "a.test", path: "/" }], 9);
    assert.deepEqual(await reader.next(), {
      type: "changes",
      version: second,
      changes: [{ op: "delete", host: "a.test", path: "/" }],
    });
    const late = await watched(table, first);
    assert.deepEqual(await late.reader.next(), {
      type: "changes",
      version: second,
      changes: [{ op: "delete", host: "a.test", path: "/" }],
    });
    stop();
    late.stop();
    await reader.expectEnd();
    await late.reader.expectEnd();
  }),

  tableCase(
    "no version is lost while many are made and read, nor by a watch that reads late",
    async ({ table }) => {
      const start = await versionOf(table);
      const watches = [await watched(table), await watched(table)];
      const reads = watches.map(({ reader }) => later(reader.take(40)));
      for (let round = 0; round < 40; round += 1) await apply(table, [put(`h${String(round)}.test`)]);
      const last = start.revision + 40;
      for (const events of await Promise.all(reads)) {
        assert.deepEqual(
          events.map(revisionOf),
          Array.from({ length: 40 }, (_, index) => start.revision + 1 + index),
        );
      }
      for (let round = 0; round < 12; round += 1) await apply(table, [put(`late${String(round)}.test`)]);
      for (const { reader, stop } of watches) {
        assert.deepEqual(
          (await reader.take(12)).map(revisionOf),
          Array.from({ length: 12 }, (_, index) => last + 1 + index),
        );
        stop();
      }
    },
  ),

  tableCase("a watch from a version that the table never had gets a reset and ends", async ({ table }) => {
    const version = await apply(table, [put("a.test")], 4);
    await apply(table, [put("b.test")]);
    const strangers: readonly RouteTableVersion[] = [
      { ...version, incarnation: `${version.incarnation}x` },
      { ...version, epoch: version.epoch - 1 },
      { ...version, revision: version.revision + 9 },
    ];
    for (const after of strangers) {
      const { reader } = await watched(table, after);
      assert.deepEqual(await reader.next(), { type: "reset" });
      await reader.expectEnd();
    }
  }),

  tableCase(
    "a watch from behind the end of the history gets a reset and ends",
    async ({ table, appliesToReset }) => {
      const start = await versionOf(table);
      let version = start;
      let previous = start;
      for (let round = 0; round < appliesToReset; round += 1) {
        previous = version;
        version = await table.apply([put("a.test")], { epoch: 0, ifVersion: version });
      }
      const { reader } = await watched(table, start);
      assert.deepEqual(await reader.next(), { type: "reset" });
      await reader.expectEnd();
      const near = await watched(table, previous);
      assert.equal((await near.reader.next()).type, "changes");
      near.stop();
    },
  ),

  tableCase("a watch ends without an error when its signal aborts", async ({ table }) => {
    const after = await versionOf(table);
    const signal = AbortSignal.abort();
    assert.deepEqual(await within(collect(table.watch({ after, signal })), "the end"), []);
    assert.deepEqual(await within(collect(table.watchAcknowledgements({ signal })), "the end"), []);
    const { reader, stop } = await watched(table);
    const end = later(reader.expectEnd());
    stop();
    await end;
  }),

  tableCase(
    "a slow watch that falls behind the history gets a reset, and nothing is left out before",
    async ({ table, appliesToReset }) => {
      const { reader, stop } = await watched(table);
      const first = later(reader.next());
      let version = await apply(table, [put("first.test")]);
      let seen = revisionOf(await first);
      assert.equal(seen, version.revision);
      // A change may be told of later than it is made, and a watch is slow only by those that have been: another one waits for each.
      const quick = await watched(table, version);
      for (let round = 0; round <= appliesToReset; round += 1) {
        const told = later(quick.reader.next());
        version = await apply(table, [put("a.test")]);
        assert.equal(revisionOf(await told), version.revision);
      }
      quick.stop();
      for (;;) {
        const event = await reader.next();
        if (event.type === "reset") break;
        assert.equal(event.version.revision, seen + 1);
        seen = event.version.revision;
        assert.ok(seen < version.revision - 1, "The history does not reach back so far.");
      }
      await reader.expectEnd();
      stop();
    },
  ),
];
