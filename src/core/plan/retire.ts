import type { App } from "../model/records.js";
import type { PlanContext } from "./app-plan.js";
import type { Draft } from "./draft.js";
import type { Instance } from "./instances.js";

/**
 * `surplus` more run than are wanted: those that serve least go first, so the wanted number of ready ones stays. Which of those that
 * only records know still serve is not known: as long as the others are not enough, none of them leaves, until their nodes are
 * heard or lost.
 */
export function retireSurplus(
  app: App,
  own: readonly Instance[],
  surplus: number,
  draft: Draft,
  context: PlanContext,
): void {
  const known = own.filter((instance) => isVouchedFor(instance, context));
  const mayLeave = countReady(known) >= app.instances ? own : known;
  if (mayLeave.length < own.length) context.waits.word = true;
  const leaving = Math.max(0, surplus - (own.length - mayLeave.length));
  const reason = `${String(app.instances)} wanted, ${String(own.length)} run`;
  for (const instance of inOrder(mayLeave, context).slice(0, leaving)) retire(instance, reason, draft);
}

/**
 * Old releases leave as far as ready instances of the target make up for them; what only records call ready makes up for nothing.
 * While a node is still to be heard that may have lost some of the old ones, none of them leaves before the rest is enough.
 */
export function retireReplaced(
  app: App,
  own: readonly Instance[],
  others: readonly Instance[],
  reason: string,
  draft: Draft,
  context: PlanContext,
): void {
  for (const instance of others) if (!instance.ready) retire(instance, reason, draft);
  const readyOthers = others.filter(({ ready }) => ready);
  const isKnown = (instance: Instance): boolean => isVouchedFor(instance, context);
  const knownOwn = countReady(own.filter(isKnown));
  const isEnough = knownOwn + readyOthers.filter(isKnown).length >= app.instances;
  const mayLeave = isEnough || !readyOthers.some((instance) => isAwaited(instance, context));
  const spare = mayLeave ? Math.max(0, knownOwn + readyOthers.length - app.instances) : 0;
  for (const instance of inOrder(readyOthers, context).slice(0, spare)) retire(instance, reason, draft);
  const isWordMissing = countReady(own) > knownOwn || !mayLeave;
  if (readyOthers.length > spare && isWordMissing) context.waits.word = true;
}

function countReady(instances: readonly Instance[]): number {
  return instances.filter(({ ready }) => ready).length;
}

/** Who leaves first comes first. */
function inOrder(instances: readonly Instance[], context: PlanContext): readonly Instance[] {
  return [...instances].sort((a, b) => retireRank(a, context) - retireRank(b, context));
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

/** Its node has not told this leader what runs there, and will be heard or be judged: not one of too many that are silent. */
function isAwaited(instance: Instance, context: PlanContext): boolean {
  const { facts, policy, now, health } = context;
  if (isVouchedFor(instance, context)) return false;
  return health.get(instance.placement.nodeId) === "live" || now < facts.leaderSince + policy.leaderGraceMs;
}

/** Has an instance leave: out of the routes first when it may be in them. */
export function retire(instance: Instance, reason: string, draft: Draft): void {
  const served = instance.status?.readyAt != null;
  draft.move.push({ placement: instance.placement, to: served ? "draining" : "stopped", reason });
}
