import { DinpError, isDinpError } from "../model/errors.js";
import type { InstanceStatus, Placement } from "../model/records.js";
import type { AppRecords } from "./app-records.js";
import { placed } from "./app-views.js";
import { readDetail } from "./apps.js";
import type { RoutingState } from "./cluster-source.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import { listEvents } from "./events.js";
import type { AppPlanView, ExplainView, FactView } from "./plan-views.js";
import type { ExplainRequest } from "./requests.js";
import { quoted } from "./text.js";
import { withdrawalView } from "./withdrawal-view.js";
import type { AppDetail } from "./views.js";

const EVENTS_TOLD = 10;

/** What is known besides the records. */
interface Knowledge {
  readonly records: AppRecords;
  readonly detail: AppDetail;
  readonly routing: (instanceId: string) => RoutingState | null;
  /** Null when no server leads. */
  readonly plan: AppPlanView | null;
}

/** Why an app, or one of its instances, is in the state that it is. `DINP_NOT_FOUND`. */
export async function explain(
  context: PlatformContext,
  name: string,
  request: ExplainRequest,
  options: ReadOptions,
): Promise<ExplainView> {
  const { records, detail } = await readDetail(context, name, options);
  const cluster = context.cluster();
  const plan = presentPlan(context, name);
  const knowledge: Knowledge = { records, detail, plan, routing: (id) => cluster.routing(id) };
  const events = await listEvents(context, { app: name, limit: 200 }, options);
  const told = events
    .filter(({ instanceId }) => request.instance === undefined || instanceId === request.instance)
    .slice(-EVENTS_TOLD)
    .map((event) => fact("event", `${event.type}: ${event.message} (by ${event.actor})`, event.at));
  return request.instance === undefined
    ? explainApp(knowledge, told)
    : explainInstance(knowledge, request.instance, told);
}

function presentPlan(context: PlatformContext, name: string): AppPlanView | null {
  try {
    return (
      context
        .cluster()
        .plan(null)
        .apps.find(({ app }) => app === name) ?? null
    );
  } catch (error) {
    if (isDinpError(error, "DINP_UNAVAILABLE")) return null;
    throw error;
  }
}

function fact(about: string, text: string, at: number | null = null): FactView {
  return { about, text, at };
}

function explainApp(knowledge: Knowledge, events: readonly FactView[]): ExplainView {
  const { records, detail } = knowledge;
  const wanted = count(detail.instances, "instance");
  return {
    app: detail.name,
    instance: null,
    state: detail.state,
    summary: `${detail.name} is ${detail.state}: ${String(detail.ready)} of ${wanted} ready`,
    facts: [
      fact("desired", `${detail.desired}, with ${wanted}`),
      ...releaseFacts(knowledge),
      ...records.placements.flatMap((placement) => instanceFacts(knowledge, placement, true)),
      ...troubleFacts(knowledge),
      ...events,
    ],
    next: adviceFor(knowledge),
  };
}

function explainInstance(knowledge: Knowledge, instanceId: string, events: readonly FactView[]): ExplainView {
  const { records, detail } = knowledge;
  const placement = records.placements.find((candidate) => candidate.instanceId === instanceId);
  if (placement === undefined) {
    const known = records.placements.map((candidate) => candidate.instanceId);
    if (events.length === 0) throw noSuchInstance(detail.name, instanceId, known);
    const summary = `${instanceId} is gone: nothing of it is kept but its events`;
    return { app: detail.name, instance: instanceId, state: "gone", summary, facts: events, next: [] };
  }
  const status = records.statuses.get(instanceId);
  const state = status?.ready === true ? "ready" : (status?.phase ?? "pending");
  return {
    app: detail.name,
    instance: instanceId,
    state,
    summary: `${instanceId} of ${detail.name} is ${state}${status === undefined ? "" : `: ${status.reason}`}`,
    facts: [
      ...releaseFacts(knowledge),
      ...instanceFacts(knowledge, placement, false),
      ...troubleFacts(knowledge),
      ...events,
    ],
    next: state === "ready" ? [] : adviceFor(knowledge),
  };
}

function releaseFacts({ records, detail }: Knowledge): FactView[] {
  const { current } = records;
  if (current === null) return [fact("release", "there is none yet")];
  const { rollout } = detail;
  const facts = [
    fact(
      "release",
      `${String(current.number)} (${current.note}), by ${current.createdBy}`,
      current.createdAt,
    ),
  ];
  if (rollout !== null)
    facts.push(fact("rollout", `${rollout.state}: ${rollout.reason}`, rollout.endedAt ?? rollout.startedAt));
  return facts;
}

function instanceFacts(knowledge: Knowledge, placement: Placement, isShort: boolean): FactView[] {
  const { records, routing } = knowledge;
  const { instanceId, nodeId, desired, reason } = placement;
  const number = String(records.releases.get(placement.releaseId)?.number ?? 0);
  const status = records.statuses.get(instanceId);
  const placedText = `${instanceId} is to be ${desired} on ${nodeId}, of release ${number}: ${reason}`;
  const facts = [fact("instance", placedText, placement.changedAt)];
  if (status === undefined) {
    facts.push(fact("phase", `${instanceId}: its node has not taken it up yet`));
    return facts;
  }
  facts.push(phaseFact(status));
  if (!isShort || !status.ready) facts.push(probeFact(status));
  const route = routing(instanceId);
  facts.push(...withdrawalFacts(records, instanceId, route));
  if (route !== null) facts.push(fact("route", `${instanceId}: ${routeText(route)}`));
  return facts;
}

function withdrawalFacts(
  records: AppRecords,
  instanceId: string,
  route: RoutingState | null,
): readonly FactView[] {
  const withdrawn = withdrawalView(records.withdrawals, instanceId);
  if (withdrawn === null) return [];
  const { by, since, reason } = withdrawn;
  const what = route === "routed" ? "wants it off its routes" : "took it off its routes";
  return [fact("withdrawn", `${instanceId}: the health monitor ${by} ${what}: ${reason}`, since)];
}

function phaseFact(status: InstanceStatus): FactView {
  const { instanceId, phase, endpoint, exit } = status;
  const at = endpoint === null ? "" : ` at ${endpoint.host}:${String(endpoint.port)}`;
  if (exit !== null) return fact("phase", `${instanceId} ended: ${exit.message}`, exit.at);
  return fact("phase", `${instanceId} is ${phase}${at}: ${status.reason}`, status.startedAt);
}

function probeFact({ instanceId, ready, readyAt, reason, phase }: InstanceStatus): FactView {
  if (ready) return fact("probe", `${instanceId} answers its check`, readyAt);
  const before = readyAt === null ? "has never answered its check" : "does not answer its check any more";
  return fact("probe", `${instanceId} ${phase === "running" ? `${before}: ${reason}` : "is not probed"}`);
}

function routeText(route: RoutingState): string {
  switch (route) {
    case "routed":
      return "requests are sent to it";
    case "leaving":
      return "it is off the route, and some router has not acknowledged that yet";
    case "unrouted":
      return "no router sends requests to it";
  }
}

function troubleFacts({ detail, plan, records }: Knowledge): FactView[] {
  const facts: FactView[] = [];
  const { lastCrash, nextStartAt } = detail;
  if (lastCrash !== null) {
    const many = lastCrash.failures > 1 ? `${String(lastCrash.failures)} failures in a row, the last: ` : "";
    const text = `${many}${lastCrash.reason}`;
    facts.push(fact("crash", text, lastCrash.at));
    for (const line of lastCrash.logTail.slice(-5)) facts.push(fact("log", line));
  }
  if (nextStartAt !== null && placed(records) < detail.instances)
    facts.push(fact("backoff", "the next start waits until then", nextStartAt));
  for (const action of plan?.actions ?? []) {
    const what = action.instance ?? (action.node === null ? "" : `one on ${action.node}`);
    facts.push(fact("plan", `next: ${action.type} ${what}: ${action.reason}`.replace("  ", " ")));
  }
  for (const { code, reason, retryAt } of plan?.refused ?? [])
    facts.push(fact("refused", `${code}: ${reason}`, retryAt));
  const told = new Set(facts.map(({ text }) => text));
  for (const notice of detail.notices) if (!told.has(notice)) facts.push(fact("notice", notice));
  return facts;
}

/** What helps now, in words that name the operation, whatever the reader uses. */
function adviceFor({ detail, plan }: Knowledge): string[] {
  const { name, state, rollout } = detail;
  const refused = plan?.refused.find(({ code }) => code === "no-capacity" || code === "no-node");
  switch (state) {
    case "running":
      return rollout?.state === "failed"
        ? [
            "Look at the failed release's log, mend it and push again, or roll back to make the present one final.",
          ]
        : [];
    case "crashing":
    case "degraded":
      return [
        `Look at the log of ${name}, mend what fails and push again.`,
        ...(detail.release !== null && detail.release > 1 ? ["Or roll back to the release before."] : []),
        ...(refused === undefined ? [] : [placingAdvice(refused.code)]),
      ];
    case "starting":
    case "deploying":
      return refused === undefined
        ? ["Wait: instances are on their way up; follow the events to see how far they are."]
        : [placingAdvice(refused.code)];
    case "stopped":
      return [`Start ${name} to have it answer again.`];
    case "empty":
      return [`Push code to ${name}.`];
    case "stopping":
    case "deleting":
      return ["Wait: its instances finish their requests and end."];
  }
}

/** What helps an instance that fits nowhere now. */
function placingAdvice(code: string): string {
  return code === "no-capacity"
    ? "Make room: scale something down, or give the app less memory or processor. It is placed as soon as it fits."
    : "Look at the nodes: one must be there and heard of, not cordoned, and have the programs that the app needs.";
}

function count(number: number, noun: string): string {
  return `${String(number)} ${noun}${number === 1 ? "" : "s"}`;
}

function noSuchInstance(app: string, instance: string, known: readonly string[]): DinpError {
  const message = `The app ${quoted(app)} has no instance ${quoted(instance)}.`;
  return new DinpError("DINP_NOT_FOUND", message, {
    hint: known.length === 0 ? "It has no instances now." : `It has ${known.slice(0, 10).join(", ")}.`,
    details: { field: "instance" },
  });
}
