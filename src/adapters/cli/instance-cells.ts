import type { InstanceView } from "@dinp/core/client";
import { instanceState } from "./rollout-display.js";
import type { Cell } from "./table.js";

/** What an instance does, in a word or two, and why. */
export function stateAndReason(instance: InstanceView): readonly [state: Cell, reason: Cell] {
  const { desired, reason, withdrawn } = instance;
  if (desired !== "running") return [{ text: desired, color: "dim" }, reason];
  if (withdrawn === null) return [instanceState(instance), reason];
  return [{ text: "withdrawn", color: "yellow" }, `by ${withdrawn.by}: ${withdrawn.reason}`];
}
