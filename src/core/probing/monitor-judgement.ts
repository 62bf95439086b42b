import type { AppId, InstanceId } from "../model/records.js";
import { withdrawnMax } from "../model/withdrawal.js";
import type { MonitorPolicy } from "./monitor-policy.js";
import { lookAround, lookedAroundSince, type MonitorSight } from "./monitor-sight.js";
import type { Observation } from "./observation.js";

/** All that a health monitor's judgement looks at. */
export interface JudgementInput {
  /** Of every instance that is ready by its agent. */
  readonly observations: ReadonlyMap<InstanceId, Observation>;
  /** What this monitor has withdrawn, ready or not. */
  readonly own: ReadonlySet<InstanceId>;
  /** Whether any monitor has withdrawn it. */
  readonly isWithdrawn: (instanceId: InstanceId) => boolean;
  /** As the last judgement left it. */
  readonly sight: MonitorSight;
  readonly now: number;
  readonly policy: MonitorPolicy;
}

export interface Finding {
  readonly instanceId: InstanceId;
  readonly appId: AppId;
  /** For people. */
  readonly reason: string;
}

/** What a monitor is to do. */
export interface Judgement {
  readonly sight: MonitorSight;
  /** To be taken off the routes. */
  readonly withdraw: readonly Finding[];
  /** Withdrawn by this monitor, and to be given back. */
  readonly giveBack: readonly Finding[];
  /** Withdrawn by this monitor, and not ready any more by their agents or gone: nothing is left to withdraw. */
  readonly drop: readonly InstanceId[];
  /** Do not answer, and stay on the routes because too few others would. */
  readonly keep: readonly Finding[];
}

/**
 * Judges every instance by the monitor's probes. An instance is withdrawn after the policy's number of failures in a row, once
 * all others have been probed since the first of them, the longest failing first, and never more of an app's than
 * `withdrawnMax`. While most probes fail nothing is withdrawn, and all of the monitor's withdrawals are given back.
 */
export function judge(input: JudgementInput): Judgement {
  const { observations, own, now, policy } = input;
  const sight = lookAround(input.sight, observations.values(), now, policy);
  const drop = [...own].filter((instanceId) => !observations.has(instanceId));
  if (sight.suspendedSince !== null) {
    const reason = `most probes of its monitor fail at once, ${shareText(sight)}: the fault is more likely there`;
    return { sight, withdraw: [], giveBack: findings(input, () => reason), drop, keep: [] };
  }
  const giveBack = findings(input, ({ probe }) => (probe.ready ? "it answers its monitor again" : null));
  return { sight, giveBack, drop, ...condemn(input) };
}

/** For people: `7 of 9`. */
export function shareText({ failed, known }: MonitorSight): string {
  return `${String(failed)} of ${String(known)}`;
}

/** The monitor's own withdrawals that have a reason to be given back. */
function findings(
  { observations, own }: JudgementInput,
  reasonOf: (observation: Observation) => string | null,
): Finding[] {
  return [...own].flatMap((instanceId): Finding[] => {
    const observation = observations.get(instanceId);
    const reason = observation === undefined ? null : reasonOf(observation);
    return observation === undefined || reason === null
      ? []
      : [{ instanceId, appId: observation.appId, reason }];
  });
}

function condemn(input: JudgementInput): Pick<Judgement, "withdraw" | "keep"> {
  const { observations, own, isWithdrawn } = input;
  const failing = [...observations].filter(([id, { probe }]) => !probe.ready && !own.has(id));
  if (failing.length === 0) return { withdraw: [], keep: [] };
  const lookedSince = lookedAroundSince(observations.values());
  const sure = failing.filter(([, { failingSince }]) => failingSince !== null && failingSince <= lookedSince);
  const room = roomByApp(input);
  const [withdraw, keep]: [Finding[], Finding[]] = [[], []];
  for (const [instanceId, observation] of sure.sort(byFailingSince)) {
    const { appId } = observation;
    const finding = { instanceId, appId, reason: reasonText(observation) };
    const left = room.get(appId) ?? 0;
    if (isWithdrawn(instanceId)) withdraw.push(finding);
    else if (left > 0) {
      withdraw.push(finding);
      room.set(appId, left - 1);
    } else keep.push(finding);
  }
  return { withdraw, keep };
}

/** How many more of each app's instances may be withdrawn. */
function roomByApp({ observations, isWithdrawn }: JudgementInput): Map<AppId, number> {
  const counts = new Map<AppId, { ready: number; withdrawn: number }>();
  for (const [instanceId, { appId }] of observations) {
    const count = counts.get(appId) ?? { ready: 0, withdrawn: 0 };
    count.ready += 1;
    if (isWithdrawn(instanceId)) count.withdrawn += 1;
    counts.set(appId, count);
  }
  return new Map(
    [...counts].map(([appId, { ready, withdrawn }]) => [appId, withdrawnMax(ready) - withdrawn]),
  );
}

function byFailingSince([idA, a]: [InstanceId, Observation], [idB, b]: [InstanceId, Observation]): number {
  return (a.failingSince ?? 0) - (b.failingSince ?? 0) || (idA < idB ? -1 : 1);
}

function reasonText({ probe, lastFailure }: Observation): string {
  return `${String(probe.consecutiveFailures)} probes in a row from outside failed, the last: ${lastFailure}`;
}
