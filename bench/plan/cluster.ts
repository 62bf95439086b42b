import {
  type App,
  defaultCheck,
  type InstanceStatus,
  type Node,
  type PlaceAction,
  type Placement,
  type Release,
  type Rollout,
  type Stored,
} from "@dinp/core";
import type { Sizes } from "./sizes.js";

export const T0 = 1_700_000_000_000;

/** Twice what the instances need. */
const ROOM = 2;
const MEMORY_MB = 128;
const CPU_MILLIS = 100;

/** The records that users and nodes bring: nothing is placed yet. */
export function wanted(sizes: Sizes): Stored[] {
  const records: Stored[] = [];
  const perNode = Math.ceil((sizes.instances / sizes.nodes) * ROOM);
  for (let n = 0; n < sizes.nodes; n += 1) {
    const id = nodeId(n);
    const node: Node = {
      ...{ id, address: "10.0.0.1", memoryMb: perNode * MEMORY_MB, cpuMillis: perNode * CPU_MILLIS },
      ...{ runtime: "process", programs: ["node", "python3"], labels: {}, cordoned: false, registeredAt: T0 },
    };
    records.push({ kind: "node", key: id, value: copied(node), revision: 1 });
  }
  for (let a = 0; a < sizes.apps; a += 1) {
    const id = appId(a);
    const app: App = {
      ...{ id, name: `name-${String(a)}`, teamId: "default", desired: "running" },
      ...{ instances: instancesOf(a, sizes), currentRelease: releaseId(a), createdAt: T0, deletedAt: null },
    };
    const release = releaseOf(a);
    records.push({ kind: "app", key: id, value: copied(app), revision: 1 });
    records.push({ kind: "release", key: release.id, value: copied(release), revision: 1 });
  }
  return records;
}

/** What the leader and the agents have written once the actions were carried out and every instance is ready. */
export function carriedOut(actions: Iterable<PlaceAction>): Stored[] {
  const records: Stored[] = [];
  const complete = new Set<string>();
  for (const action of actions) {
    const instanceId = `i-${String(records.length).padStart(12, "0")}`;
    const { appId, releaseId, nodeId } = action;
    if (!complete.has(releaseId)) {
      complete.add(releaseId);
      const rollout: Rollout = {
        ...{ releaseId, appId, number: 1, state: "complete", startedAt: T0, endedAt: T0 },
        ...{ reason: "10 of 10 instances ready", logTail: [] },
      };
      records.push({ kind: "rollout", key: releaseId, value: copied(rollout), revision: 2 });
    }
    const placement = placementOf(instanceId, action);
    const status: InstanceStatus = {
      ...{ instanceId, appId, releaseId, nodeId, phase: "running", ready: true, readyAt: T0, startedAt: T0 },
      endpoint: { instanceId, host: "10.0.0.1", port: 20_000 + (records.length % 10_000) },
      ...{ reason: "answered 200", exit: null, seq: 4_294_967_296 + records.length },
    };
    records.push({ kind: "placement", key: instanceId, value: copied(placement), revision: 2 });
    records.push({ kind: "instanceStatus", key: instanceId, value: copied(status), revision: 2 });
  }
  return records;
}

export function placementOf(instanceId: string, action: PlaceAction): Placement {
  const { appId, releaseId, nodeId, reason } = action;
  return {
    ...{ instanceId, appId, releaseId, nodeId, desired: "running", reason },
    ...{ createdAt: T0, changedAt: T0 },
  };
}

export function appId(a: number): string {
  return `app-${String(a).padStart(12, "0")}`;
}

export function nodeId(n: number): string {
  return `node-${String(n).padStart(6, "0")}`;
}

function releaseId(a: number): string {
  return `rel-${String(a).padStart(12, "0")}`;
}

function instancesOf(a: number, { apps, instances }: Sizes): number {
  return Math.floor(instances / apps) + (a < instances % apps ? 1 : 0);
}

function releaseOf(a: number): Release {
  return {
    ...{ id: releaseId(a), appId: appId(a), number: 1, template: "node", command: ["node", "server.js"] },
    image: { repository: `apps/name-${String(a)}`, digest: `sha256:${String(a).padStart(64, "0")}` },
    ...{ requires: ["node"], env: { GREETING: "hello" }, manifestEnv: {} },
    ...{ memoryMb: MEMORY_MB, cpuMillis: CPU_MILLIS, check: defaultCheck, stopGraceMs: 10_000 },
    ...{ drainMs: 30_000, buildId: null, createdAt: T0, createdBy: "admin", note: "push" },
  };
}

/** As a store gives it: a copy, so that no two records share memory that they would not share there. */
function copied<T extends object>(record: T): T {
  const copy: T = JSON.parse(JSON.stringify(record));
  return copy;
}
