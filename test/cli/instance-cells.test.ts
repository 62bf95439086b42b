import type { InstanceView } from "@dinp/core";
import { expect, test } from "vitest";
import { stateAndReason } from "../../src/adapters/cli/instance-cells.js";

const ready: InstanceView = {
  ...{ id: "i-1", node: "n1", release: 1, desired: "running", phase: "running", ready: true },
  ...{ endpoint: "10.0.0.1:20000", startedAt: 0, reason: "ready", withdrawn: null },
};
const withdrawn = { by: "hm-1", since: 0, reason: "no answer within 2000 ms" };

test.for<readonly [string, Partial<InstanceView>, string, string]>([
  ["is ready", {}, "ready", "ready"],
  ["was withdrawn", { withdrawn }, "withdrawn", "by hm-1: no answer within 2000 ms"],
  ["drains", { desired: "draining", reason: "replaced" }, "draining", "replaced"],
  [
    "drains and was withdrawn",
    { desired: "draining", reason: "replaced", withdrawn },
    "draining",
    "replaced",
  ],
])("an instance that %s", ([, change, text, why]) => {
  const [state, reason] = stateAndReason({ ...ready, ...change });
  expect(state).toMatchObject({ text });
  expect(reason).toBe(why);
});
