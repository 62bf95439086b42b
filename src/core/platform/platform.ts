import { EventTimes } from "../model/ids.js";
import type { AppGrants } from "../model/records.js";
import type { ExecEvent, LogLine } from "../ports/runtime.js";
import { deleteApp, getApp, listApps, scaleApp, setDesired } from "./apps.js";
import { Bases, listBases, type BaseRequest } from "./bases.js";
import { getBuild, getBuildLog, pageBuilds } from "./build-reads.js";
import { Builds, type BuildRequest } from "./builds.js";
import {
  type Caller,
  type PlatformContext,
  type PlatformOptions,
  type ReadOptions,
  type WriteOptions,
} from "./context.js";
import { discardImages } from "./discards.js";
import { addDomain, listDomains, removeDomain } from "./domains.js";
import { noCluster } from "./cluster-source.js";
import { changeEnv, getEnv } from "./env.js";
import { PlatformExecutions, type ExecutionOptions } from "./executions.js";
import { explain } from "./explain.js";
import { getGrants, setGrants } from "./grants.js";
import { followEvents, listEvents } from "./events.js";
import { noUploads } from "./build-source.js";
import { noImages } from "./images.js";
import { PullSlots } from "./located-image.js";
import { readLogs } from "./logs.js";
import {
  createJoinToken,
  listJoinTokens,
  revokeJoinToken,
  revokeNode,
  trimJoinTokens,
  type JoinTokenRequest,
} from "./node-access.js";
import { listNodes } from "./nodes.js";
import type { AppPlanView, ExplainView, PlanView, PushPlanView } from "./plan-views.js";
import { pageApps, pageEvents, pageInstances, pageReleases } from "./paging.js";
import { planChange } from "./change-plan.js";
import { planPush } from "./push-plan.js";
import { addRegistry, listRegistries, removeRegistry, type RegistryRequest } from "./registries.js";
import { routerOperations, type RouterOperations } from "./router-operations.js";
import { RepositoryUse } from "./repository-use.js";
import { listSecretKeys, tryReseal } from "./resealing.js";
import { trimSecrets } from "./trim-secrets.js";
import { noRegistries, noSecrets } from "./without.js";
import { createRelease, listReleases } from "./releases.js";
import type {
  AppsQuery,
  BuildsQuery,
  DomainRequest,
  EnvRequest,
  EventsQuery,
  EventsRequest,
  ExecRequest,
  ExplainRequest,
  InstancesQuery,
  LogsRequest,
  PageRequest,
  ChangePlanRequest,
  PlanRequest,
  ReleaseRequest,
  RollbackRequest,
  RunRequest,
  ScaleRequest,
} from "./requests.js";
import { rollback } from "./rollback.js";
import { followRollout, getRollout } from "./rollouts.js";
import { templateViews, type TemplateView } from "./template-views.js";
import { trimAnswers, trimBuilds, trimEvents, trimReleases } from "./tidy.js";
import { authenticate, createAdminToken, type NewToken } from "./tokens.js";
import type {
  AppDetail,
  AppView,
  BaseView,
  BuildLogView,
  BuildView,
  DomainView,
  EnvView,
  EventView,
  JoinTokenView,
  NewJoinToken,
  NodeInstanceView,
  NodeView,
  Page,
  PlatformInfo,
  RegistryView,
  ReleaseResult,
  ReleaseView,
  RolloutView,
  SecretKeysView,
} from "./views.js";

/**
 * All that a user may ask for. Every write is checked, then committed at once with its event and its remembered answer;
 * it changes what is *wanted*, and engines elsewhere make it so.
 *
 * Errors besides those named: `DINP_INVALID` (its `details.field` names what), `DINP_NOT_FOUND`,
 * `DINP_IDEMPOTENCY_KEY_REUSED`, `DINP_CONFLICT` (lost too many races; try again), and the store's.
 */
export interface Platform extends RouterOperations {
  info(): PlatformInfo;
  createAdminToken(request?: { readonly subject?: string }, options?: ReadOptions): Promise<NewToken>;
  /** Whose secret it is; `DINP_UNAUTHENTICATED`. */
  authenticate(secret: string, options?: ReadOptions): Promise<Caller>;

  /** Those that match, by name, page by page. */
  pageApps(query: AppsQuery, options?: ReadOptions): Promise<Page<AppView>>;
  /** Newest first. */
  pageReleases(name: string, request: PageRequest, options?: ReadOptions): Promise<Page<ReleaseView>>;
  /** Those that match, by id. */
  pageInstances(query: InstancesQuery, options?: ReadOptions): Promise<Page<NodeInstanceView>>;
  /** Those that match: the newest page first, each page oldest first. */
  pageEvents(query: EventsQuery, options?: ReadOptions): Promise<Page<EventView>>;
  /** By name. */
  listApps(options?: ReadOptions): Promise<readonly AppView[]>;
  getApp(name: string, options?: ReadOptions): Promise<AppDetail>;
  scaleApp(name: string, request: ScaleRequest, options: WriteOptions): Promise<AppView>;
  startApp(name: string, options: WriteOptions): Promise<AppView>;
  stopApp(name: string, options: WriteOptions): Promise<AppView>;
  /** `DINP_CONFIRMATION_REQUIRED` after many deletions within ten minutes, unless `confirm`. */
  deleteApp(
    name: string,
    request: { readonly confirm?: boolean | undefined },
    options: WriteOptions,
  ): Promise<{ readonly deleted: true }>;

  /** Packs built code, sent or fetched from a URL, into an image. The app need not exist. */
  createBuild(name: string, request: BuildRequest, options: WriteOptions): Promise<BuildView>;
  getBuild(name: string, id: string, options?: ReadOptions): Promise<BuildView>;
  /** Those that match, newest first; the newest 50 of each app are kept. */
  pageBuilds(query: BuildsQuery, options?: ReadOptions): Promise<Page<BuildView>>;
  /** What the builder said, of a failed build as well. */
  getBuildLog(name: string, id: string, options?: ReadOptions): Promise<BuildLogView>;

  /** By name. */
  listBases(options?: ReadOptions): Promise<readonly BaseView[]>;
  /** Registers an image that apps can be put on, or points its name to another one. What was built stays as it is. */
  addBase(name: string, request: BaseRequest, options: WriteOptions): Promise<BaseView>;
  removeBase(name: string, options: WriteOptions): Promise<{ readonly deleted: true }>;

  /** Registries besides the platform's own that images may be taken from, by host. */
  listRegistries(options?: ReadOptions): Promise<readonly RegistryView[]>;
  /** Allows images of a registry (`HOST` or `HOST:PORT`), or replaces how it is spoken to. */
  addRegistry(host: string, request: RegistryRequest, options: WriteOptions): Promise<RegistryView>;
  /** What was taken from there stays. */
  removeRegistry(host: string, options: WriteOptions): Promise<{ readonly deleted: true }>;

  /**
   * Makes a release out of a build or an image that exists, and the app when there is none; starts the app.
   * `DINP_IMAGE_NOT_FOUND`, `DINP_PROGRAM_MISSING`.
   */
  createRelease(name: string, request: ReleaseRequest, options: WriteOptions): Promise<ReleaseResult>;
  /** Newest first. */
  listReleases(name: string, options?: ReadOptions): Promise<readonly ReleaseView[]>;
  rollback(name: string, request: RollbackRequest, options: WriteOptions): Promise<ReleaseResult>;
  getRollout(name: string, number: number, options?: ReadOptions): Promise<RolloutView>;
  /** Now and after each change, until it has ended or the signal aborts (then without an error). */
  followRollout(
    name: string,
    number: number,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<RolloutView>;

  getEnv(name: string, options?: ReadOptions): Promise<EnvView>;
  changeEnv(name: string, request: EnvRequest, options: WriteOptions): Promise<ReleaseResult>;
  /** The keys that secrets are sealed with, by name. */
  listSecretKeys(options?: ReadOptions): Promise<SecretKeysView>;
  /** What the app may do beyond the runtime's defaults. */
  getGrants(name: string, options?: ReadOptions): Promise<AppGrants>;
  /** Grants exactly this, and replaces the instances by a new release. `DINP_FORBIDDEN` unless the caller is an admin. */
  setGrants(name: string, grants: AppGrants, options: WriteOptions): Promise<ReleaseResult>;
  listDomains(name: string, options?: ReadOptions): Promise<readonly DomainView[]>;
  addDomain(name: string, request: DomainRequest, options: WriteOptions): Promise<DomainView>;
  removeDomain(
    name: string,
    request: DomainRequest,
    options: WriteOptions,
  ): Promise<{ readonly deleted: true }>;

  /**
   * Runs a command beside a running instance. Its output as it comes, then its end. `DINP_NOT_FOUND`, `DINP_BUSY`,
   * `DINP_PROGRAM_MISSING`, `DINP_TIMEOUT`, `DINP_ABORTED` when the signal aborts: by then its processes are gone.
   */
  exec(name: string, request: ExecRequest, options: ExecutionOptions): AsyncIterable<ExecEvent>;
  /** As {@link Platform.exec}, as a one-off of a release, apart from all instances. */
  run(name: string, request: RunRequest, options: ExecutionOptions): AsyncIterable<ExecEvent>;
  /** Ends without an error when the signal aborts. */
  logs(name: string, request: LogsRequest, options: { readonly signal: AbortSignal }): AsyncIterable<LogLine>;
  /** Why the app, or one instance of it, is in the state that it is. */
  explain(name: string, request: ExplainRequest, options?: ReadOptions): Promise<ExplainView>;
  /** What a push of this would change, and the first step that the platform would take. Writes nothing. */
  planPush(name: string, request: PlanRequest, options?: ReadOptions): Promise<PushPlanView>;

  /** What the platform would do first if the app were scaled, started, stopped or deleted. Writes nothing. `DINP_NOT_FOUND`. */
  planChange(name: string, request: ChangePlanRequest, options?: ReadOptions): Promise<AppPlanView>;
  /** What the platform is about to do now. `DINP_UNAVAILABLE` when no server leads. */
  presentPlan(): PlanView;
  listNodes(options?: ReadOptions): Promise<readonly NodeView[]>;
  /** Ends the node's connection, and lets it in no more. `DINP_FORBIDDEN` unless the caller is an admin, `DINP_NOT_FOUND`. */
  revokeNode(nodeId: string, options: WriteOptions): Promise<{ readonly revoked: true }>;
  /** A token by which nodes can join; its secret is told this once. `DINP_FORBIDDEN` unless the caller is an admin. */
  createJoinToken(request: JoinTokenRequest, options: WriteOptions): Promise<NewJoinToken>;
  /** Those that have not expired, by id. */
  listJoinTokens(options?: ReadOptions): Promise<readonly JoinTokenView[]>;
  /** Nodes that have joined by it stay. `DINP_FORBIDDEN` unless the caller is an admin, `DINP_NOT_FOUND`. */
  revokeJoinToken(id: string, options: WriteOptions): Promise<{ readonly deleted: true }>;
  /** What apps can be made of, in the order in which it is tried. */
  listTemplates(): readonly TemplateView[];
  /** The newest, oldest first. */
  listEvents(request: EventsRequest, options?: ReadOptions): Promise<readonly EventView[]>;
  /** The newest, oldest first, then each new one; ends without an error when the signal aborts. */
  followEvents(request: EventsRequest, options: { readonly signal: AbortSignal }): AsyncIterable<EventView>;

  /**
   * Deletes old events, answers, releases, versions of secrets and build records beyond their bounds, and images that nothing
   * needs any more; seals anew what older keys have sealed. To be called now and then by one process.
   */
  tidy(options?: ReadOptions): Promise<void>;
}

/** The platform over the given ports. Does no I/O by itself. */
export function createPlatform(options: PlatformOptions): Platform {
  const context: PlatformContext = Object.freeze({
    cluster: () => noCluster,
    images: noImages,
    uploads: noUploads,
    registries: noRegistries,
    secrets: noSecrets,
    imageExpected: () => undefined,
    executionsPerAppMax: 8,
    buildsMax: 4,
    buildTimeoutMs: 1_800_000,
    deletionBudget: { count: 5, share: 0.2 },
    ...options,
    eventTimes: new EventTimes(),
    pulls: new PullSlots(),
    uses: new RepositoryUse(),
  });
  const builds = new Builds(context);
  const bases = new Bases(context);
  const executions = new PlatformExecutions(context);
  return {
    info: () => context.info(),
    createAdminToken: (request = {}, read = {}) => createAdminToken(context, request, read),
    authenticate: (secret, read = {}) => authenticate(context, secret, read),
    pageApps: (query, read = {}) => pageApps(context, query, read),
    pageReleases: (name, request, read = {}) => pageReleases(context, name, request, read),
    pageInstances: (query, read = {}) => pageInstances(context, query, read),
    pageEvents: (query, read = {}) => pageEvents(context, query, read),
    listApps: (read = {}) => listApps(context, read),
    getApp: (name, read = {}) => getApp(context, name, read),
    scaleApp: (name, request, write) => scaleApp(context, name, request, write),
    startApp: (name, write) => setDesired(context, name, "running", write),
    stopApp: (name, write) => setDesired(context, name, "stopped", write),
    deleteApp: (name, request, write) => deleteApp(context, name, request, write),
    createBuild: (name, request, write) => builds.create(name, request, write),
    getBuild: (name, id, read = {}) => getBuild(context, name, id, read),
    pageBuilds: (query, read = {}) => pageBuilds(context, query, read),
    getBuildLog: (name, id, read = {}) => getBuildLog(context, name, id, read),
    listBases: (read = {}) => listBases(context, read),
    addBase: (name, request, write) => bases.add(name, request, write),
    removeBase: (name, write) => bases.remove(name, write),
    listRegistries: (read = {}) => listRegistries(context, read),
    addRegistry: (host, request, write) => addRegistry(context, host, request, write),
    removeRegistry: (host, write) => removeRegistry(context, host, write),
    createRelease: (name, request, write) => createRelease(context, name, request, write),
    listReleases: (name, read = {}) => listReleases(context, name, read),
    rollback: (name, request, write) => rollback(context, name, request, write),
    getRollout: (name, number, read = {}) => getRollout(context, name, number, read),
    followRollout: (name, number, { signal }) => followRollout(context, name, number, signal),
    getEnv: (name, read = {}) => getEnv(context, name, read),
    changeEnv: (name, request, write) => changeEnv(context, name, request, write),
    getGrants: (name, read = {}) => getGrants(context, name, read),
    setGrants: (name, grants, write) => setGrants(context, name, grants, write),
    listSecretKeys: (read = {}) => listSecretKeys(context, read),
    listDomains: (name, read = {}) => listDomains(context, name, read),
    addDomain: (name, request, write) => addDomain(context, name, request, write),
    removeDomain: (name, request, write) => removeDomain(context, name, request, write),
    exec: (name, request, execution) => executions.exec(name, request, execution),
    run: (name, request, execution) => executions.run(name, request, execution),
    logs: (name, request, { signal }) => readLogs(context, name, request, signal),
    explain: (name, request, read = {}) => explain(context, name, request, read),
    planPush: (name, request, read = {}) => planPush(context, name, request, read),
    planChange: (name, request, read = {}) => planChange(context, name, request, read),
    presentPlan: () => context.cluster().plan(null),
    listNodes: (read = {}) => listNodes(context, read),
    revokeNode: (nodeId, write) => revokeNode(context, nodeId, write),
    createJoinToken: (request, write) => createJoinToken(context, request, write),
    listJoinTokens: (read = {}) => listJoinTokens(context, read),
    revokeJoinToken: (id, write) => revokeJoinToken(context, id, write),
    ...routerOperations(context),
    listTemplates: () => templateViews(context.builder.templates),
    listEvents: (request, read = {}) => listEvents(context, request, read),
    followEvents: (request, { signal }) => followEvents(context, request, signal),
    tidy: async (read = {}) => {
      await trimEvents(context.store, read);
      await trimAnswers(context.store, context.clock.now(), read);
      await trimBuilds(context.store, read);
      await trimReleases(context.store, read);
      await trimJoinTokens(context, read);
      await trimSecrets(context.store, read);
      await discardImages(context, read);
      await tryReseal(context, read);
    },
  };
}
