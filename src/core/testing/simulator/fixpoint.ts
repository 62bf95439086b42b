import type { App } from "../../model/records.js";
import type { Route } from "../../ports/route-table.js";
import { type ReadonlyRouteIndex, RouteIndex } from "../../routing/route-index.js";
import type { History } from "./history.js";
import type { Journal } from "./journal.js";
import type { SimNode } from "./sim-node.js";
import type { SimRouter } from "./sim-router.js";

/** After the calm, nothing may have been written for so long. */
const QUIET_MS = 60_000;
const NAMED_MAX = 6;

interface Rest {
  readonly history: History;
  readonly nodes: readonly SimNode[];
  readonly routers: ReadonlyMap<string, SimRouter>;
  /** What a router that starts now would be given. */
  readonly routes: readonly Route[];
  readonly journal: Journal;
  readonly apps: readonly string[];
  /** What was asked for last of each app and acknowledged: how many instances. */
  readonly wanted: ReadonlyMap<string, number>;
  readonly appsDomain: string;
}

/** What the world must look like when every fault has ended long ago: all that was asked for, and nothing else. */
export function checkFixpoint(rest: Rest): void {
  const { history, journal } = rest;
  const apps = [...history.present.all("app")];
  const wrong = [
    ...rest.apps.flatMap((name) => wrongWithWish(name, apps, rest)),
    ...apps.flatMap((app) => wrongWithApp(app, rest)),
    ...wrongWithRecords(rest),
    ...rest.nodes.flatMap((node) => wrongWithNode(node, rest)),
  ];
  const quietMs = history.now - history.changedAt;
  if (quietMs < QUIET_MS) wrong.push(`the last commit was ${(quietMs / 1000).toFixed(0)} s ago`);
  if (wrong.length > 0)
    journal.violate("a-fixpoint-follows-the-faults", wrong.slice(0, NAMED_MAX).join("; "));
}

function wrongWithWish(name: string, apps: readonly App[], { wanted }: Rest): readonly string[] {
  const app = apps.find((each) => each.name === name && each.deletedAt === null);
  const instances = wanted.get(name);
  if (instances === undefined) return [`what was asked for of ${name} was never acknowledged`];
  if (app === undefined) return [`there is no app ${name}`];
  if (app.desired === "running" && app.instances === instances) return [];
  return [
    `${name} is to be ${app.desired} with ${String(app.instances)}, and ${String(instances)} were asked for`,
  ];
}

function wrongWithRecords({ history: { present } }: Rest): readonly string[] {
  const wrong: string[] = [];
  for (const { instanceId, nodeId } of present.all("instanceStatus")) {
    if (present.get("placement", instanceId) === undefined)
      wrong.push(`the status of ${instanceId} on ${nodeId} has no placement`);
  }
  for (const { releaseId, number, state } of present.all("rollout")) {
    if (state === "running")
      wrong.push(`the rollout of release ${String(number)} (${releaseId}) has not ended`);
  }
  for (const { instanceId, monitorId } of present.all("withdrawal"))
    wrong.push(`${instanceId} is still withdrawn by ${monitorId}`);
  return wrong;
}

function wrongWithNode(node: SimNode, { history: { present } }: Rest): readonly string[] {
  const wrong = node.running
    .filter((id) => present.get("placement", id)?.nodeId !== node.id)
    .map((id) => `${id} runs on ${node.id} without a placement`);
  if (node.leftovers > 0) wrong.push(`${node.id} keeps ${String(node.leftovers)} instances that have ended`);
  return wrong;
}

function wrongWithApp(app: App, rest: Rest): readonly string[] {
  const { present } = rest.history;
  if (app.deletedAt !== null) return [`the deleted app ${app.name} is not gone`];
  const wrong: string[] = [];
  const running = rest.nodes.flatMap((node) =>
    node.running.filter((id) => present.get("placement", id)?.appId === app.id),
  );
  if (running.length !== app.instances) {
    wrong.push(`${app.name}: ${String(running.length)} run, ${String(app.instances)} are wanted`);
  }
  for (const id of running) {
    const placement = present.get("placement", id);
    if (placement?.desired !== "running")
      wrong.push(`${app.name}: ${id} is ${placement?.desired ?? "unknown"}`);
    if (placement?.releaseId !== app.currentRelease)
      wrong.push(`${app.name}: ${id} is not of the current release`);
  }
  const placed = [...present.of("placement", app.id)].length;
  if (placed !== running.length) {
    wrong.push(`${app.name}: ${String(placed)} placements for ${String(running.length)} instances`);
  }
  return [...wrong, ...wrongWithRoutes(app, [...running].sort(), rest)];
}

function wrongWithRoutes(app: App, running: readonly string[], rest: Rest): readonly string[] {
  const wrong: string[] = [];
  const domains = [...rest.history.present.of("domain", app.id)].map(({ host }) => host);
  const tables = new Map<string, ReadonlyRouteIndex>([["the table", new RouteIndex(rest.routes)]]);
  for (const [name, { follower }] of rest.routers) tables.set(name, follower.index());
  for (const host of [`${app.name}.${rest.appsDomain}`, ...domains]) {
    for (const [name, index] of tables) {
      const ids = (index.find(host, "/")?.endpoints ?? []).map(({ instanceId }) => instanceId).sort();
      if (ids.join() === running.join()) continue;
      wrong.push(
        `${host}: ${name} routes to ${ids.join(" ") || "none"}, and ${running.join(" ") || "none"} run`,
      );
    }
  }
  return wrong;
}
