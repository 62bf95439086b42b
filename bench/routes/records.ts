import {
  defaultCheck,
  type App,
  type InstanceStatus,
  type Placement,
  type Release,
  type Rollout,
  type StateStore,
  type Write,
} from "@dinp/core";

export const NODE = "node-bench";
export const APPS_DOMAIN = "apps.bench";
const APPS_AT_ONCE = 500;

/** Where the one server is that all instances are. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** Commits apps of one instance each: `ready` of them answer, the others have an instance that runs and was not ready yet. */
export async function commitApps(
  store: StateStore,
  place: Place,
  { apps, ready }: { readonly apps: number; readonly ready: number },
): Promise<void> {
  const now = Date.now();
  for (let first = 0; first < apps; first += APPS_AT_ONCE) {
    const numbers = Array.from({ length: Math.min(APPS_AT_ONCE, apps - first) }, (_, index) => first + index);
    await store.commit(numbers.flatMap((number) => writesOf(number, number < ready, place, now)));
  }
}

export async function commitRouters(store: StateStore, ids: readonly string[]): Promise<void> {
  const registeredAt = Date.now();
  await store.commit(
    ids.map((id) => ({ op: "put", kind: "router", value: { id, address: "127.0.0.1", registeredAt } })),
  );
}

export function hostOf(number: number): string {
  return `name-${String(number)}.${APPS_DOMAIN}`;
}

/** The instance's status before it is ready (`seq` 1), and after (`seq` 2). */
export function statusOf(number: number, isReady: boolean, place: Place, now: number): InstanceStatus {
  const instanceId = `i-${String(number)}`;
  return {
    ...{ instanceId, appId: appId(number), releaseId: releaseId(number), nodeId: NODE, phase: "running" },
    ...{ ready: isReady, readyAt: isReady ? now : null, startedAt: now },
    endpoint: { instanceId, ...place },
    ...{ reason: isReady ? "answered 200" : "not asked yet", exit: null, seq: isReady ? 2 : 1 },
  };
}

function writesOf(number: number, isReady: boolean, place: Place, now: number): readonly Write[] {
  const app: App = {
    ...{ id: appId(number), name: `name-${String(number)}`, teamId: "default", desired: "running" },
    ...{ instances: 1, currentRelease: releaseId(number), createdAt: now, deletedAt: null },
  };
  const release: Release = {
    ...{
      id: releaseId(number),
      appId: appId(number),
      number: 1,
      template: "node",
      command: ["node", "server.js"],
    },
    image: {
      repository: `apps/name-${String(number)}`,
      digest: `sha256:${String(number).padStart(64, "0")}`,
    },
    ...{ requires: [], env: {}, manifestEnv: {}, memoryMb: 1, cpuMillis: 1 },
    check: { ...defaultCheck, startupMs: 3_600_000 },
    ...{
      stopGraceMs: 10_000,
      drainMs: 30_000,
      buildId: null,
      createdAt: now,
      createdBy: "bench",
      note: "push",
    },
  };
  const rollout: Rollout = {
    ...{ releaseId: releaseId(number), appId: appId(number), number: 1, startedAt: now, logTail: [] },
    ...(isReady ? { state: "complete", endedAt: now } : { state: "running", endedAt: null }),
    reason: "1 instance",
  };
  const placement: Placement = {
    ...{
      instanceId: `i-${String(number)}`,
      appId: appId(number),
      releaseId: releaseId(number),
      nodeId: NODE,
    },
    ...{ desired: "running", reason: "one instance is wanted", createdAt: now, changedAt: now },
  };
  return [
    { op: "put", kind: "app", value: app },
    { op: "put", kind: "release", value: release },
    { op: "put", kind: "rollout", value: rollout },
    { op: "put", kind: "placement", value: placement },
    { op: "put", kind: "instanceStatus", value: statusOf(number, isReady, place, now) },
  ];
}

function appId(number: number): string {
  return `app-${String(number)}`;
}

function releaseId(number: number): string {
  return `rel-${String(number)}`;
}
