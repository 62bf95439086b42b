import { DinpError } from "../model/errors.js";
import type { Write } from "../ports/state-store.js";
import { withSignal } from "./app-records.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import { quoted } from "./text.js";

const WINDOW_MS = 600_000;
const SETTING_KEY = "platform.deletions";
const REMEMBERED_MAX = 1_000;

/**
 * Counts one more deletion: the write that records it, guarded so that two at a time cannot share the last one of the
 * budget. `DINP_CONFIRMATION_REQUIRED` when the window's budget is used up and the caller has not confirmed.
 */
export async function chargeDeletion(
  context: PlatformContext,
  name: string,
  isConfirmed: boolean,
  now: number,
  options: ReadOptions,
): Promise<Write> {
  const { store, deletionBudget } = context;
  const stored = await store.get("setting", SETTING_KEY, withSignal(options));
  const recent = parseTimes(stored?.value.value ?? "[]").filter((time) => time > now - WINDOW_MS);
  let live = 0;
  for await (const { value } of store.list("app", withSignal(options)))
    if (value.deletedAt === null) live += 1;
  const total = live + recent.length;
  const budget = Math.max(deletionBudget.count, Math.floor(total * deletionBudget.share));
  if (recent.length >= budget && !isConfirmed) {
    throw new DinpError(
      "DINP_CONFIRMATION_REQUIRED",
      `Deleting ${quoted(name)} would be deletion ${String(recent.length + 1)} within ten minutes; ${String(budget)} of ${String(total)} apps may go without a confirmation.`,
      {
        hint: "If that is meant, confirm the deletion (confirm=true).",
        details: { recent: recent.length, budget },
      },
    );
  }
  const times = [...recent, now].slice(-REMEMBERED_MAX);
  return {
    op: "put",
    kind: "setting",
    value: { key: SETTING_KEY, value: JSON.stringify(times) },
    ifRevision: stored?.revision ?? "absent",
  };
}

function parseTimes(text: string): number[] {
  const parsed: unknown = JSON.parse(text);
  return Array.isArray(parsed) ? parsed.filter((time) => typeof time === "number") : [];
}
