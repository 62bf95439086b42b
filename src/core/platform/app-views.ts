import type { App, Build, Domain, Placement, Release } from "../model/records.js";
import { appState, countReady } from "./app-state.js";
import type { AppRecords } from "./app-records.js";
import type {
  AppDetail,
  AppView,
  BuildView,
  DomainView,
  InstanceView,
  InstanceViewPhase,
  PlatformInfo,
  ReleaseView,
  RolloutView,
  RolloutViewState,
} from "./views.js";
import { releaseDefaults } from "../model/defaults.js";
import { withdrawalView } from "./withdrawal-view.js";

/** Where the app answers: its own name first, then its domains. */
export function appUrls(name: string, domains: readonly Domain[], info: PlatformInfo): string[] {
  const router = new URL(info.routerUrl);
  const port = router.port === "" ? "" : `:${router.port}`;
  const address = (host: string, path: string): string => `${router.protocol}//${host}${port}${path}`;
  return [
    address(`${name}.${info.appsDomain}`, "/"),
    ...domains.map(({ host, path }) => address(host, path)),
  ];
}

export function appView(records: AppRecords, info: PlatformInfo): AppView {
  const { app, current } = records;
  return {
    name: app.name,
    urls: appUrls(app.name, records.domains, info),
    desired: app.desired,
    instances: app.instances,
    ready: countReady(records),
    state: appState({ ...records, rollout: records.rollouts.get(current?.id ?? "") ?? null }),
    release: current?.number ?? null,
    digest: current?.image.digest ?? null,
    memoryMb: current?.memoryMb ?? releaseDefaults.memoryMb,
    cpuMillis: current?.cpuMillis ?? releaseDefaults.cpuMillis,
    createdAt: app.createdAt,
  };
}

/**
 * `refusal`: why the leader cannot place an instance of the app that is wanted, null when it can. `nextStartAt`: until when
 * the next start waits after a failure.
 */
export function appDetail(
  records: AppRecords,
  info: PlatformInfo,
  refusal: string | null,
  nextStartAt: number | null,
  revision: number,
): AppDetail {
  const { current, crash } = records;
  return {
    ...appView(records, info),
    revision,
    template: current?.template ?? null,
    command: current?.command ?? [],
    domains: records.domains.map(domainView),
    instanceList: records.placements.map((placement) => instanceView(placement, records)),
    rollout: current === null ? null : rolloutView(records, current),
    lastCrash:
      crash === null || crash.failures === 0
        ? null
        : { failures: crash.failures, at: crash.lastAt, reason: crash.lastReason, logTail: crash.logTail },
    nextStartAt,
    notices: notices(records, refusal),
  };
}

function notices(records: AppRecords, refusal: string | null): string[] {
  const { app, current } = records;
  if (app.deletedAt !== null || app.desired === "stopped") return [];
  const found: string[] = [];
  const rollout = current === null ? undefined : records.rollouts.get(current.id);
  if (rollout?.state === "failed") found.push(`Release ${String(rollout.number)} failed: ${rollout.reason}.`);
  if (refusal !== null) found.push(refusal);
  return found;
}

/** Instances that are placed to stay. */
export function placed(records: Pick<AppRecords, "placements">): number {
  return records.placements.filter((placement) => placement.desired === "running").length;
}

function phaseOf(placement: Placement, records: Pick<AppRecords, "statuses">): InstanceViewPhase {
  return records.statuses.get(placement.instanceId)?.phase ?? "pending";
}

function instanceView(placement: Placement, records: AppRecords): InstanceView {
  const status = records.statuses.get(placement.instanceId);
  const endpoint = status?.endpoint ?? null;
  return {
    id: placement.instanceId,
    node: placement.nodeId,
    release: records.releases.get(placement.releaseId)?.number ?? 0,
    desired: placement.desired,
    phase: phaseOf(placement, records),
    ready: status?.ready ?? false,
    endpoint: endpoint === null ? null : `${endpoint.host}:${String(endpoint.port)}`,
    startedAt: status?.startedAt ?? null,
    reason: status === undefined || status.reason === "" ? placement.reason : status.reason,
    withdrawn: withdrawalView(records.withdrawals, placement.instanceId),
  };
}

export function rolloutView(records: AppRecords, release: Release): RolloutView {
  const { app } = records;
  const rollout = records.rollouts.get(release.id);
  const isCurrent = app.currentRelease === release.id && app.deletedAt === null;
  const own = records.placements.filter((placement) => placement.releaseId === release.id);
  const instances = own.map((placement) => {
    const { id, node, phase, ready, reason } = instanceView(placement, records);
    return { id, node, phase, ready, reason };
  });
  return {
    number: release.number,
    ...rolloutVerdict(records, release),
    logTail: rollout?.logTail ?? [],
    wanted: isCurrent && app.desired === "running" ? app.instances : 0,
    ready: instances.filter((instance) => instance.ready).length,
    instances,
    startedAt: rollout?.startedAt ?? null,
    endedAt: rollout?.endedAt ?? null,
  };
}

/** How the rollout of a release stands: as the leader wrote it, or what its silence means. */
function rolloutVerdict(
  records: Pick<AppRecords, "app" | "rollouts">,
  release: Release,
): { readonly state: RolloutViewState; readonly reason: string } {
  const { app } = records;
  const rollout = records.rollouts.get(release.id);
  const isOpen = rollout === undefined || rollout.state === "running";
  if (isOpen && app.deletedAt !== null) return { state: "superseded", reason: "the app was deleted" };
  if (rollout !== undefined) return { state: rollout.state, reason: rollout.reason };
  if (app.currentRelease === release.id) return { state: "pending", reason: "waiting to be taken up" };
  return { state: "superseded", reason: "a newer release took its place" };
}

export function releaseView(
  app: App,
  release: Release,
  rollouts: AppRecords["rollouts"] | null,
): ReleaseView {
  return {
    number: release.number,
    digest: release.image.digest,
    template: release.template,
    command: release.command,
    envNames: envNames(release),
    memoryMb: release.memoryMb,
    cpuMillis: release.cpuMillis,
    createdAt: release.createdAt,
    createdBy: release.createdBy,
    note: release.note,
    current: app.currentRelease === release.id,
    rollout: rollouts === null ? null : rolloutVerdict({ app, rollouts }, release),
  };
}

function envNames({ manifestEnv, env, secrets = {} }: Release): readonly string[] {
  return [...new Set([manifestEnv, env, secrets].flatMap((each) => Object.keys(each)))].sort();
}

export function domainView(domain: Domain): DomainView {
  return { host: domain.host, path: domain.path };
}

/** `abandonedAfterMs`: a build that runs for longer has lost its process. */
export function buildView(build: Build, now: number, abandonedAfterMs: number): BuildView {
  const abandoned = build.state === "running" && now - build.createdAt > abandonedAfterMs;
  const { image } = build;
  return {
    id: build.id,
    app: build.appName,
    state: abandoned ? "failed" : build.state,
    digest: image?.digest ?? null,
    image: image === null ? null : `${image.repository}@${image.digest}`,
    source: build.source ?? null,
    tag: build.tag ?? null,
    base: build.base === undefined ? null : `${build.base.name}@${build.base.digest}`,
    template: build.template,
    command: build.command,
    files: build.files,
    bytes: build.bytes,
    error: abandoned ? "the platform ended during the build" : build.error,
    createdAt: build.createdAt,
    endedAt: build.endedAt,
    createdBy: build.createdBy,
    manifest: build.manifest,
  };
}
