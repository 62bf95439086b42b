import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isDinpError, type StateStore, type WatchEvent, type Write } from "@dinp/core";
import { describeWithServices } from "../support/services.js";
import { sqlKinds } from "./sql-support/kinds.js";
import { SqlBench } from "./sql-support/sql-bench.js";
import { empty, PgliteBench } from "./state-store-support/pglite.js";
import { memoryHarness } from "./state-store-support/memory.js";

type Guard = "none" | "absent" | "present" | "stale";

interface Step {
  readonly op: "put" | "delete" | "check";
  readonly kind: "app" | "placement" | "setting";
  readonly key: string;
  readonly text: string;
  readonly guard: Guard;
}

const step: fc.Arbitrary<Step> = fc.record({
  op: fc.constantFrom("put", "put", "put", "delete", "check"),
  kind: fc.constantFrom("app", "app", "placement", "setting"),
  key: fc.constantFrom("a", "b", "c", "B", "a b"),
  text: fc.constantFrom("x", "y", "z", "é\u0000"),
  guard: fc.constantFrom("none", "none", "none", "absent", "present", "stale"),
});

const commits = fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 12 });

const put = (kind: Step["kind"], key: string, guard: Guard = "none"): Step => ({
  ...{ op: "put", kind, key, guard },
  text: "x",
});

/** Always tried, as chance may leave them out: each way in which a commit is refused. */
const refusals: readonly (readonly (readonly Step[])[])[] = [
  [[put("app", "a")], [put("app", "b")]],
  [[put("setting", "a")], [put("setting", "a", "absent")]],
  [[put("setting", "a"), put("setting", "a")]],
];

function valueOf({ kind, key, text }: Step): Extract<Write, { op: "put" }> {
  const name = text === "é\u0000" ? "w" : text;
  switch (kind) {
    case "app": {
      const deletedAt = text === "z" ? 1 : null;
      const value = { id: key, name, teamId: text, desired: "running", instances: 1 } as const;
      return { op: "put", kind, value: { ...value, currentRelease: null, createdAt: 1, deletedAt } };
    }
    case "placement": {
      const value = {
        instanceId: key,
        appId: name,
        releaseId: "r",
        nodeId: "n",
        desired: "running",
      } as const;
      return { op: "put", kind, value: { ...value, reason: text, createdAt: 1, changedAt: 1 } };
    }
    case "setting":
      return { op: "put", kind, value: { key, value: text } };
  }
}

async function writeOf(store: StateStore, given: Step): Promise<Write> {
  const present = (await store.get(given.kind, given.key))?.revision ?? 0;
  const guards = { none: undefined, absent: "absent", present, stale: present + 1_000 } as const;
  const ifRevision = guards[given.guard];
  const { kind, key } = given;
  if (given.op === "check") return { op: "check", kind, key, ifRevision: ifRevision ?? "absent" };
  if (given.op === "put") {
    const put = valueOf(given);
    return ifRevision === undefined ? put : { ...put, ifRevision };
  }
  return typeof ifRevision === "number"
    ? { op: "delete", kind, key, ifRevision }
    : { op: "delete", kind, key };
}

/** Everything that can be seen of a store on which the commits were tried, with revisions counted from its start. */
async function behavior(store: StateStore, plan: readonly (readonly Step[])[]): Promise<unknown> {
  const { revision: start } = await store.snapshot({ kinds: [] });
  const relative = (revision: number): number => (revision === 0 ? 0 : revision - start);
  const outcomes: unknown[] = [];
  for (const steps of plan) {
    const writes = await Promise.all(steps.map((given) => writeOf(store, given)));
    try {
      outcomes.push(relative((await store.commit(writes)).revision));
    } catch (error) {
      if (!isDinpError(error)) outcomes.push(error instanceof TypeError ? "TypeError" : error);
      else {
        const { revision, ...details } = error.details;
        outcomes.push([error.code, details, typeof revision === "number" ? relative(revision) : null]);
      }
    }
  }
  const snapshot = await store.snapshot();
  const controller = new AbortController();
  const events: WatchEvent[] = [];
  if (snapshot.revision > start) {
    for await (const event of store.watch({ after: start, signal: controller.signal })) {
      events.push(event.type === "commit" ? { ...event, revision: relative(event.revision) } : event);
      if (event.type === "commit" && event.revision === snapshot.revision) controller.abort();
    }
  }
  const lists: unknown[] = [];
  for (const value of ["x", "y", "z", "w"]) {
    for (const reverse of [false, true]) {
      const options = { index: { name: "app", value }, reverse, after: "b", limit: 2 } as const;
      for await (const { key } of store.list("placement", options)) lists.push([value, reverse, key]);
    }
    lists.push([value, (await store.getUnique("app", "name", value))?.key ?? null]);
  }
  const records = snapshot.records.map((record) => ({ ...record, revision: relative(record.revision) }));
  return { outcomes, revision: relative(snapshot.revision), records, events, lists };
}

/** Tries any commits on a store and on one in memory, which is what it has to be like. */
async function expectSameAsMemory(store: StateStore, numRuns: number): Promise<void> {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(commits, async (plan) => {
      const memory = await memoryHarness();
      await empty(store);
      const expected = await behavior(memory.store, plan);
      await memory.dispose();
      for (const code of JSON.stringify(expected).match(/DINP_[A-Z_]+|TypeError/g) ?? []) seen.add(code);
      expect(await behavior(store, plan)).toEqual(expected);
    }),
    { numRuns, examples: refusals.map((plan) => [plan.map((steps) => [...steps])]) },
  );
  // Else the plans would not have tried what they are for.
  expect([...seen].sort()).toEqual(["DINP_CONFLICT", "DINP_NOT_UNIQUE", "TypeError"]);
}

describe("memory and pglite state stores", () => {
  let bench: PgliteBench;
  let pglite: StateStore;

  beforeAll(async () => {
    bench = await PgliteBench.make();
    pglite = (await bench.harness("any")).store;
  }, 120_000);

  afterAll(() => bench.dispose());

  it("do the same with any commits", () => expectSameAsMemory(pglite, 60), 120_000);
});

for (const kind of sqlKinds) {
  const { name } = kind.server;
  describeWithServices([name], `memory and ${name} state stores`, (places) => {
    it("do the same with any commits", async () => {
      const bench = new SqlBench(kind, Object.values<string>(places)[0] ?? "");
      try {
        await expectSameAsMemory((await bench.harness("any")).store, 30);
      } finally {
        await bench.dispose();
      }
    }, 120_000);
  });
}
