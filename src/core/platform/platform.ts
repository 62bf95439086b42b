import { EventTimes } from "../model/ids.js";
import type { LogLine } from "../ports/runtime.js";
import { deleteApp, getApp, listApps, scaleApp, setDesired } from "./apps.js";
import { Builds, type BuildRequest } from "./builds.js";
import {
  type Caller,
  type PlatformContext,
  type PlatformOptions,
  type ReadOptions,
  type WriteOptions,
} from "./context.js";
import { addDomain, listDomains, removeDomain } from "./domains.js";
import { changeEnv, getEnv } from "./env.js";
import { followEvents, listEvents } from "./events.js";
import { readLogs } from "./logs.js";
import { listNodes } from "./nodes.js";
import { createRelease, listReleases, rollback } from "./releases.js";
import type {
  DomainRequest,
  EnvRequest,
  EventsRequest,
  LogsRequest,
  ReleaseRequest,
  RollbackRequest,
  ScaleRequest,
} from "./requests.js";
import { followRollout, getRollout } from "./rollouts.js";
import { trimAnswers, trimBuilds, trimEvents } from "./tidy.js";
import { authenticate, createAdminToken, type NewToken } from "./tokens.js";
import type {
  AppDetail,
  AppView,
  BuildView,
  DomainView,
  EnvView,
  EventView,
  NodeView,
  PlatformInfo,
  ReleaseResult,
  ReleaseView,
  RolloutView,
} from "./views.js";

/**
 * All that a user may ask for. Every write is checked, then committed at once with its event and its remembered answer;
 * it changes what is *wanted*, and engines elsewhere make it so.
 *
 * Errors besides those named: `DINP_INVALID` (its `details.field` names what), `DINP_NOT_FOUND`,
 * `DINP_IDEMPOTENCY_KEY_REUSED`, `DINP_CONFLICT` (lost too many races; try again), and the store's.
 */
export interface Platform {
  info(): PlatformInfo;
  createAdminToken(request?: { readonly subject?: string }, options?: ReadOptions): Promise<NewToken>;
  /** Whose secret it is; `DINP_UNAUTHENTICATED`. */
  authenticate(secret: string, options?: ReadOptions): Promise<Caller>;

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

  /** Packs built code into an image. The app need not exist. */
  createBuild(name: string, request: BuildRequest, options: WriteOptions): Promise<BuildView>;
  getBuild(name: string, id: string, options?: ReadOptions): Promise<BuildView>;

  /** Makes a release out of a build, and the app when there is none; starts the app. `DINP_PROGRAM_MISSING`. */
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
  listDomains(name: string, options?: ReadOptions): Promise<readonly DomainView[]>;
  addDomain(name: string, request: DomainRequest, options: WriteOptions): Promise<DomainView>;
  removeDomain(
    name: string,
    request: DomainRequest,
    options: WriteOptions,
  ): Promise<{ readonly deleted: true }>;

  /** Ends without an error when the signal aborts. */
  logs(name: string, request: LogsRequest, options: { readonly signal: AbortSignal }): AsyncIterable<LogLine>;
  listNodes(options?: ReadOptions): Promise<readonly NodeView[]>;
  /** The newest, oldest first. */
  listEvents(request: EventsRequest, options?: ReadOptions): Promise<readonly EventView[]>;
  /** The newest, oldest first, then each new one; ends without an error when the signal aborts. */
  followEvents(request: EventsRequest, options: { readonly signal: AbortSignal }): AsyncIterable<EventView>;

  /** Deletes old events, answers and build records beyond their bounds. To be called now and then by one process. */
  tidy(options?: ReadOptions): Promise<void>;
}

/** The platform over the given ports. Does no I/O by itself. */
export function createPlatform(options: PlatformOptions): Platform {
  const context: PlatformContext = Object.freeze({
    buildsMax: 4,
    buildTimeoutMs: 1_800_000,
    deletionBudget: { count: 5, share: 0.2 },
    ...options,
    eventTimes: new EventTimes(),
  });
  const builds = new Builds(context);
  return {
    info: () => context.info(),
    createAdminToken: (request = {}, read = {}) => createAdminToken(context, request, read),
    authenticate: (secret, read = {}) => authenticate(context, secret, read),
    listApps: (read = {}) => listApps(context, read),
    getApp: (name, read = {}) => getApp(context, name, read),
    scaleApp: (name, request, write) => scaleApp(context, name, request, write),
    startApp: (name, write) => setDesired(context, name, "running", write),
    stopApp: (name, write) => setDesired(context, name, "stopped", write),
    deleteApp: (name, request, write) => deleteApp(context, name, request, write),
    createBuild: (name, request, write) => builds.create(name, request, write),
    getBuild: (name, id, read = {}) => builds.get(name, id, read),
    createRelease: (name, request, write) => createRelease(context, name, request, write),
    listReleases: (name, read = {}) => listReleases(context, name, read),
    rollback: (name, request, write) => rollback(context, name, request, write),
    getRollout: (name, number, read = {}) => getRollout(context, name, number, read),
    followRollout: (name, number, { signal }) => followRollout(context, name, number, signal),
    getEnv: (name, read = {}) => getEnv(context, name, read),
    changeEnv: (name, request, write) => changeEnv(context, name, request, write),
    listDomains: (name, read = {}) => listDomains(context, name, read),
    addDomain: (name, request, write) => addDomain(context, name, request, write),
    removeDomain: (name, request, write) => removeDomain(context, name, request, write),
    logs: (name, request, { signal }) => readLogs(context, name, request, signal),
    listNodes: (read = {}) => listNodes(context, read),
    listEvents: (request, read = {}) => listEvents(context, request, read),
    followEvents: (request, { signal }) => followEvents(context, request, signal),
    tidy: async (read = {}) => {
      await trimEvents(context.store, read);
      await trimAnswers(context.store, context.clock.now(), read);
      await trimBuilds(context.store, read);
    },
  };
}
