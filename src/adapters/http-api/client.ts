import type {
  AppDetail,
  AppView,
  BuildView,
  ByteStream,
  DomainRequest,
  DomainView,
  EnvRequest,
  EnvView,
  EventsRequest,
  EventView,
  LogLineView,
  LogsRequest,
  NodeView,
  PlatformInfo,
  ReleaseRequest,
  ReleaseResult,
  ReleaseView,
  RollbackRequest,
  RolloutView,
  ScaleRequest,
  SessionView,
} from "@dinp/core";
import { ClientTransport, type Call, type ClientOptions } from "./client-transport.js";

export type { ClientOptions } from "./client-transport.js";
export type {
  AppDetail,
  AppState,
  AppView,
  BuildView,
  CrashView,
  DomainRequest,
  DomainView,
  EnvRequest,
  EnvView,
  EventsRequest,
  EventView,
  InstanceView,
  InstanceViewPhase,
  LogLineView,
  LogsRequest,
  NodeView,
  PlatformInfo,
  ReleaseRequest,
  ReleaseResult,
  ReleaseView,
  RollbackRequest,
  RolloutInstanceView,
  RolloutView,
  RolloutViewState,
  ScaleRequest,
  SessionView,
} from "@dinp/core";

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface BuildOptions extends CallOptions {
  /** Default: from the manifest, else by what the files look like. */
  readonly template?: string | undefined;
  /** A line for the shell. Default: from the manifest, else by convention. */
  readonly command?: string | undefined;
}

/**
 * The platform over HTTP. Every call rejects with a `DinpError`: the API's own (its code, message and hint), or
 * `DINP_UNAVAILABLE` (nobody answers), `DINP_TIMEOUT`, `DINP_ABORTED`. A call that got no answer is sent up to three
 * times, writes with the same idempotency key: they happen once. Uploads are sent once.
 */
export interface Client {
  /** Needs no token. */
  info(options?: CallOptions): Promise<PlatformInfo>;
  /** `DINP_UNAUTHENTICATED` unless the token is good. */
  session(options?: CallOptions): Promise<SessionView>;
  listApps(options?: CallOptions): Promise<readonly AppView[]>;
  getApp(app: string, options?: CallOptions): Promise<AppDetail>;
  scaleApp(app: string, request: ScaleRequest, options?: CallOptions): Promise<AppView>;
  startApp(app: string, options?: CallOptions): Promise<AppView>;
  stopApp(app: string, options?: CallOptions): Promise<AppView>;
  /** `DINP_CONFIRMATION_REQUIRED` after many deletions in a short time, unless `confirm`. */
  deleteApp(app: string, options?: CallOptions & { readonly confirm?: boolean | undefined }): Promise<void>;
  /** Uploads a `.tar.gz` of built code and resolves when its image is stored. The app need not exist. */
  createBuild(
    app: string,
    archive: ByteStream | ReadableStream<Uint8Array>,
    options?: BuildOptions,
  ): Promise<BuildView>;
  getBuild(app: string, id: string, options?: CallOptions): Promise<BuildView>;
  /** Creates the app when there is none. Resolves before the release runs: see {@link Client.followRollout}. */
  createRelease(app: string, request: ReleaseRequest, options?: CallOptions): Promise<ReleaseResult>;
  /** Newest first. */
  listReleases(app: string, options?: CallOptions): Promise<readonly ReleaseView[]>;
  rollback(app: string, request?: RollbackRequest, options?: CallOptions): Promise<ReleaseResult>;
  getRollout(app: string, number: number, options?: CallOptions): Promise<RolloutView>;
  /** The rollout now and at each change, until it has ended (that is the last value) or the signal aborts. */
  followRollout(app: string, number: number, options?: CallOptions): AsyncIterable<RolloutView>;
  getEnv(app: string, options?: CallOptions): Promise<EnvView>;
  changeEnv(app: string, request: EnvRequest, options?: CallOptions): Promise<ReleaseResult>;
  listDomains(app: string, options?: CallOptions): Promise<readonly DomainView[]>;
  addDomain(app: string, request: DomainRequest, options?: CallOptions): Promise<DomainView>;
  removeDomain(app: string, request: DomainRequest, options?: CallOptions): Promise<void>;
  /** Lines of all of the app's instances, each instance's in order; with `follow`, until the signal aborts. */
  logs(app: string, request?: LogsRequest, options?: CallOptions): AsyncIterable<LogLineView>;
  listNodes(options?: CallOptions): Promise<readonly NodeView[]>;
  /** Oldest first. */
  listEvents(request?: EventsRequest, options?: CallOptions): Promise<readonly EventView[]>;
  /** The newest events, oldest first, then every new one until the signal aborts. */
  followEvents(request?: EventsRequest, options?: CallOptions): AsyncIterable<EventView>;
}

/** A client of the API at `options.url`. `DINP_INVALID` when that is not an http(s) URL. Sends nothing yet. */
export function createClient(options: ClientOptions): Client {
  const transport = new ClientTransport(options);
  // The API is this package's own and validates nothing less than it promises: its answers are taken at their word,
  // so that an older client does not break on a field that it does not know.
  const one = async <T>(call: Call): Promise<T> => (await transport.json(call)) as T;
  const many = async <T>(call: Call): Promise<readonly T[]> =>
    (await one<{ readonly items: readonly T[] }>(call)).items;
  const stream = <T>(call: Call): AsyncIterable<T> => transport.stream(call) as AsyncIterable<T>;
  const apps = ["v1", "apps"];

  return {
    info: (o) => one({ method: "GET", path: ["v1", "info"], ...o }),
    session: (o) => one({ method: "GET", path: ["v1", "session"], ...o }),
    listApps: (o) => many({ method: "GET", path: apps, ...o }),
    getApp: (app, o) => one({ method: "GET", path: [...apps, app], ...o }),
    scaleApp: (app, json, o) => one({ method: "PATCH", path: [...apps, app], json, ...o }),
    startApp: (app, o) => one({ method: "POST", path: [...apps, app, "start"], ...o }),
    stopApp: (app, o) => one({ method: "POST", path: [...apps, app, "stop"], ...o }),
    deleteApp: async (app, o) => {
      const query = { confirm: o?.confirm };
      await transport.json({ method: "DELETE", path: [...apps, app], query, signal: o?.signal });
    },
    createBuild: (app, archive, o) =>
      one({
        method: "POST",
        path: [...apps, app, "builds"],
        query: { template: o?.template, command: o?.command },
        stream: archive,
        signal: o?.signal,
      }),
    getBuild: (app, id, o) => one({ method: "GET", path: [...apps, app, "builds", id], ...o }),
    createRelease: (app, json, o) => one({ method: "POST", path: [...apps, app, "releases"], json, ...o }),
    listReleases: (app, o) => many({ method: "GET", path: [...apps, app, "releases"], ...o }),
    rollback: (app, json = {}, o) => one({ method: "POST", path: [...apps, app, "rollback"], json, ...o }),
    getRollout: (app, number, o) =>
      one({ method: "GET", path: [...apps, app, "rollouts", String(number)], ...o }),
    followRollout: (app, number, o) =>
      stream({
        method: "GET",
        path: [...apps, app, "rollouts", String(number)],
        query: { follow: true },
        ...o,
      }),
    getEnv: (app, o) => one({ method: "GET", path: [...apps, app, "env"], ...o }),
    changeEnv: (app, json, o) => one({ method: "PATCH", path: [...apps, app, "env"], json, ...o }),
    listDomains: (app, o) => many({ method: "GET", path: [...apps, app, "domains"], ...o }),
    addDomain: (app, json, o) => one({ method: "POST", path: [...apps, app, "domains"], json, ...o }),
    removeDomain: async (app, { host, path }, o) => {
      await transport.json({
        method: "DELETE",
        path: [...apps, app, "domains"],
        query: { host, path },
        ...o,
      });
    },
    logs: (app, { tail, follow, instance } = {}, o) =>
      stream({ method: "GET", path: [...apps, app, "logs"], query: { tail, follow, instance }, ...o }),
    listNodes: (o) => many({ method: "GET", path: ["v1", "nodes"], ...o }),
    listEvents: ({ app, limit } = {}, o) =>
      many({ method: "GET", path: ["v1", "events"], query: { app, limit }, ...o }),
    followEvents: ({ app, limit } = {}, o) =>
      stream({ method: "GET", path: ["v1", "events"], query: { app, limit, follow: true }, ...o }),
  };
}
