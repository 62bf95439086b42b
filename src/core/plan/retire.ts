import type { App } from "../model/records.js";
import type { PlanContext } from "./app-plan.js";
import type { Draft } from "./draft.js";
import type { Instance } from "./instances.js";

/**
 * `surplus` more run than are wanted: those that serve least go first, so the wanted number of ready ones stays. While one that only
 * records call ready is needed for that number, it and those that were to leave after it wait: until another is ready, or its node is
 * heard or lost.
 */
export function retireSurplus(
  app: App,
  own: readonly Instance[],
  surplus: number,
  draft: Draft,
  context: PlanContext,
): void {
  const order = [...own].sort((a, b) => retireRank(a, context) - retireRank(b, context));
  const reason = `${String(app.instances)} wanted, ${String(own.length)} run`;
  let spareReady = own.filter(({ ready }) => ready).length - app.instances;
  for (const instance of order.slice(0, surplus)) {
    if (instance.ready && spareReady <= 0) {
      context.waits.word = true;
      return;
    }
    if (instance.ready) spareReady -= 1;
    retire(instance, reason, draft);
  }
}

/** Old releases leave as far as ready instances of the target make up for them; what only records call ready does not. */
export function retireReplaced(
  app: App,
  own: readonly Instance[],
  others: readonly Instance[],
  reason: string,
  draft: Draft,
  context: PlanContext,
): void {
  const ready = own.filter((instance) => instance.ready);
  const vouchedFor = ready.filter((instance) => isVouchedFor(instance, context));
  const readyOthers = others.filter((instance) => instance.ready);
  for (const instance of others) if (!instance.ready) retire(instance, reason, draft);
  const spare = vouchedFor.length + readyOthers.length - app.instances;
  const order = [...readyOthers].sort((a, b) => retireRank(a, context) - retireRank(b, context));
  for (const instance of order.slice(0, Math.max(0, spare))) retire(instance, reason, draft);
  if (readyOthers.length > spare && ready.length > vouchedFor.length) context.waits.word = true;
}

/**
 * What only records vouch for before what its node has told, not ready before ready, cordoned before not, then from the
 * fullest node.
 */
function retireRank(instance: Instance, context: PlanContext): number {
  const { nodeId } = instance.placement;
  const cordoned = context.view.get("node", nodeId)?.cordoned === true;
  const crowd = Math.min(context.ledger.instancesOn(nodeId), 999_999);
  return (
    (isVouchedFor(instance, context) ? 4_000_000 : 0) +
    (instance.ready ? 2_000_000 : 0) +
    (cordoned ? 0 : 1_000_000) -
    crowd
  );
}

function isVouchedFor({ placement }: Instance, { vouching }: PlanContext): boolean {
  return vouching.has(placement.nodeId);
}

/** Has an instance leave: out of the routes first when it may be in them. */
export function retire(instance: Instance, reason: string, draft: Draft): void {
  const served = instance.status?.readyAt != null;
  draft.move.push({ placement: instance.placement, to: served ? "draining" : "stopped", reason });
}
