import type { AppPlanView } from "@dinp/core/client";
import { printable, shortId } from "./text.js";

/** What the platform would do with an app, and what it would refuse, one line each with its reason. */
export function stepLines(plan: AppPlanView): string[] {
  const actions: { readonly what: string; readonly reason: string; count: number }[] = [];
  for (const { type, instance, node, release, reason } of plan.actions) {
    const named = instance === null ? "" : ` ${shortId(instance)}`;
    const where = node === null ? "" : ` on ${node}`;
    const of = release === null ? "" : ` (release ${String(release)})`;
    const what = `${type}${named}${where}${of}`;
    const last = actions.at(-1);
    // Many new instances on one node are one line; the first says why.
    if (last?.what === what && instance === null) last.count += 1;
    else actions.push({ what, reason, count: 1 });
  }
  return [
    ...actions.map(({ what, reason, count: many }) =>
      printable(`  ${many === 1 ? what : what.replace(/^\w+/, `$& ${String(many)}`)}: ${reason}`),
    ),
    ...plan.refused.map(({ code, reason }) => `  ${printable(`refused ${code}: ${reason}`)}`),
  ];
}
