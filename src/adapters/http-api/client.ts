import type {
  AppDetail,
  AppGrants,
  AppsQuery,
  AppView,
  BaseView,
  BuildLogView,
  BuildsQuery,
  BuildView,
  ByteStream,
  DomainRequest,
  DomainView,
  EnvRequest,
  EnvView,
  EventsQuery,
  EventsRequest,
  EventView,
  ExecEvent,
  ExecRequest,
  ExplainRequest,
  ExplainView,
  ForgetRouterRequest,
  InstancesQuery,
  JoinTokenRequest,
  JoinTokenView,
  LogLineView,
  LogsRequest,
  NewJoinToken,
  NewToken,
  NodeInstanceView,
  NodeView,
  Page,
  PageRequest,
  ChangePlanRequest,
  PlanRequest,
  AppPlanView,
  PlanView,
  PlatformInfo,
  PushPlanView,
  RegistryRequest,
  RegistryView,
  ReleaseRequest,
  ReleaseResult,
  ReleaseView,
  RollbackRequest,
  RolloutView,
  RouterRequest,
  RouterTokenView,
  RouterView,
  RunRequest,
  ScaleRequest,
  SecretKeysView,
  SessionView,
  TemplateView,
} from "@dinp/core";
import { commandBody, execEvents } from "./client-executions.js";
import { ClientTransport, type Call, type ClientOptions } from "./client-transport.js";

export type { ClientOptions } from "./client-transport.js";
export type { ApiAnswer, ApiRequest, Exchange } from "./exchange.js";
export type {
  AppDetail,
  AppGrants,
  AppsQuery,
  AppState,
  AppView,
  BaseView,
  BuildLogView,
  BuildsQuery,
  BuildView,
  CrashView,
  DomainRequest,
  DomainView,
  EnvRequest,
  EnvView,
  EventsQuery,
  EventsRequest,
  EventView,
  ExecEvent,
  ExecRequest,
  ExplainRequest,
  ExplainView,
  FactView,
  AppPlanView,
  PlanActionView,
  PlanRefusalView,
  ChangePlanRequest,
  PlanRequest,
  PlanView,
  PushPlanView,
  InstanceView,
  InstanceViewPhase,
  InstancesQuery,
  LogLineView,
  LogsRequest,
  NodeInstanceView,
  NodeView,
  Page,
  PageRequest,
  PlatformInfo,
  RegistryRequest,
  RegistryView,
  ReleaseRequest,
  ReleaseResult,
  ReleaseView,
  RollbackRequest,
  RolloutInstanceView,
  RolloutView,
  RolloutViewState,
  RouterRequest,
  RouterTokenView,
  RouterView,
  RunRequest,
  ScaleRequest,
  SecretKeysView,
  SecretView,
  SessionView,
  TemplateView,
} from "@dinp/core";

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface BuildOptions extends CallOptions {
  /** Default: from the manifest, else by what the files look like. */
  readonly template?: string | undefined;
  /** What the upload is called, such as `shop.war`: by it a `.war` and a `.jar` are told from other zips. */
  readonly fileName?: string | undefined;
  /** A line for the shell. Default: from the manifest, else by convention. */
  readonly command?: string | undefined;
  /** The name of the base image that the app is put on. */
  readonly base?: string | undefined;
  /** Points to the image afterwards. */
  readonly tag?: string | undefined;
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
  /** All that match, by name. */
  listApps(options?: CallOptions & Pick<AppsQuery, "state" | "prefix">): Promise<readonly AppView[]>;
  pageApps(query?: AppsQuery, options?: CallOptions): Promise<Page<AppView>>;
  pageReleases(app: string, request?: PageRequest, options?: CallOptions): Promise<Page<ReleaseView>>;
  /** All that match, by id. */
  listInstances(query?: InstancesQuery, options?: CallOptions): Promise<readonly NodeInstanceView[]>;
  /** The newest page first, each page oldest first; `next` leads to older ones. */
  pageEvents(query?: EventsQuery, options?: CallOptions): Promise<Page<EventView>>;
  getApp(app: string, options?: CallOptions): Promise<AppDetail>;
  scaleApp(app: string, request: ScaleRequest, options?: CallOptions): Promise<AppView>;
  startApp(app: string, options?: CallOptions): Promise<AppView>;
  stopApp(app: string, options?: CallOptions): Promise<AppView>;
  /** `DINP_CONFIRMATION_REQUIRED` after many deletions in a short time, unless `confirm`. */
  deleteApp(app: string, options?: CallOptions & { readonly confirm?: boolean | undefined }): Promise<void>;
  /** Uploads built code (`.tar.gz`, `.tar`, `.zip`, `.war`, `.jar`, or one program) and resolves when its image is stored. The app need not exist. */
  createBuild(
    app: string,
    archive: ByteStream | ReadableStream<Uint8Array>,
    options?: BuildOptions,
  ): Promise<BuildView>;
  /** As {@link Client.createBuild}, of what the platform fetches from an http(s) URL that needs no credentials. Sent once. */
  createBuildFromUrl(app: string, url: string, options?: BuildOptions): Promise<BuildView>;
  getBuild(app: string, id: string, options?: CallOptions): Promise<BuildView>;
  /** Newest first; `next` leads to older ones. */
  pageBuilds(query?: BuildsQuery, options?: CallOptions): Promise<Page<BuildView>>;
  getBuildLog(app: string, id: string, options?: CallOptions): Promise<BuildLogView>;
  /** By name. */
  listBases(options?: CallOptions): Promise<readonly BaseView[]>;
  /** Registers an image of the platform's registry (`REPOSITORY:TAG` or `REPOSITORY@sha256:…`) as a base image. */
  addBase(name: string, request: { readonly image: string }, options?: CallOptions): Promise<BaseView>;
  /** Uploads a base image: an OCI image layout, what `docker save` writes, or a root file system, as a plain tar. */
  uploadBase(
    name: string,
    tar: ByteStream | ReadableStream<Uint8Array>,
    options?: CallOptions,
  ): Promise<BaseView>;
  removeBase(name: string, options?: CallOptions): Promise<void>;
  /** Registries besides the platform's own that images may be taken from, by host. */
  listRegistries(options?: CallOptions): Promise<readonly RegistryView[]>;
  /** Allows images of a registry (`HOST` or `HOST:PORT`), or replaces how it is spoken to. */
  addRegistry(host: string, request: RegistryRequest, options?: CallOptions): Promise<RegistryView>;
  removeRegistry(host: string, options?: CallOptions): Promise<void>;
  /** Creates the app when there is none. Resolves before the release runs: see {@link Client.followRollout}. */
  createRelease(app: string, request: ReleaseRequest, options?: CallOptions): Promise<ReleaseResult>;
  /** Newest first. */
  listReleases(app: string, options?: CallOptions): Promise<readonly ReleaseView[]>;
  rollback(app: string, request?: RollbackRequest, options?: CallOptions): Promise<ReleaseResult>;
  getRollout(app: string, number: number, options?: CallOptions): Promise<RolloutView>;
  /** The rollout now and at each change, until it has ended (that is the last value) or the signal aborts. */
  followRollout(app: string, number: number, options?: CallOptions): AsyncIterable<RolloutView>;
  getEnv(app: string, options?: CallOptions): Promise<EnvView>;
  /** The keys that secrets are sealed with, by name. */
  listSecretKeys(options?: CallOptions): Promise<SecretKeysView>;
  getGrants(app: string, options?: CallOptions): Promise<AppGrants>;
  /** Exactly these, and a new release; `DINP_FORBIDDEN` unless the token is an admin's. */
  setGrants(app: string, grants: AppGrants, options?: CallOptions): Promise<ReleaseResult>;
  changeEnv(app: string, request: EnvRequest, options?: CallOptions): Promise<ReleaseResult>;
  listDomains(app: string, options?: CallOptions): Promise<readonly DomainView[]>;
  addDomain(app: string, request: DomainRequest, options?: CallOptions): Promise<DomainView>;
  removeDomain(app: string, request: DomainRequest, options?: CallOptions): Promise<void>;
  /**
   * Runs a command beside a running instance: its output as it comes, then its end. Sent once. When the signal aborts or
   * the reader leaves, the command is ended, and the iteration ends without an error.
   */
  exec(app: string, request: ExecRequest, options?: CallOptions): AsyncIterable<ExecEvent>;
  /** As {@link Client.exec}, as a one-off of a release, apart from all instances. */
  run(app: string, request: RunRequest, options?: CallOptions): AsyncIterable<ExecEvent>;
  /** Lines of all of the app's instances, each instance's in order; with `follow`, until the signal aborts. */
  logs(app: string, request?: LogsRequest, options?: CallOptions): AsyncIterable<LogLineView>;
  /** Why the app, or one instance of it, is as it is. */
  explain(app: string, request?: ExplainRequest, options?: CallOptions): Promise<ExplainView>;
  /** What a push would change; writes nothing. */
  planPush(app: string, request: PlanRequest, options?: CallOptions): Promise<PushPlanView>;
  planChange(app: string, request: ChangePlanRequest, options?: CallOptions): Promise<AppPlanView>;
  /** What the platform is about to do now. */
  presentPlan(options?: CallOptions): Promise<PlanView>;
  listNodes(options?: CallOptions): Promise<readonly NodeView[]>;
  /** Ends the node's connection, and lets it in no more. Admins only. */
  revokeNode(id: string, options?: CallOptions): Promise<void>;
  /** A token by which nodes can join; its secret is told this once. Admins only. Sent once. */
  createJoinToken(request?: JoinTokenRequest, options?: CallOptions): Promise<NewJoinToken>;
  /** Those that have not expired, by id. */
  listJoinTokens(options?: CallOptions): Promise<readonly JoinTokenView[]>;
  /** Nodes that have joined by it stay. Admins only. */
  revokeJoinToken(id: string, options?: CallOptions): Promise<void>;
  /** The routers that drains and ports wait for, by id. */
  listRouters(options?: CallOptions): Promise<readonly RouterView[]>;
  /** From the answer on, drains and ports wait for the router. Idempotent. Admins and routers' tokens only. */
  registerRouter(id: string, request?: RouterRequest, options?: CallOptions): Promise<RouterView>;
  /** `DINP_CONFIRMATION_REQUIRED` while it seems to be at work, unless `confirm`. Admins only. */
  forgetRouter(id: string, options?: CallOptions & ForgetRouterRequest): Promise<void>;
  /** A token by which routers register; its secret is told this once. Admins only. Sent once. */
  createRouterToken(options?: CallOptions): Promise<NewToken>;
  /** By id. */
  listRouterTokens(options?: CallOptions): Promise<readonly RouterTokenView[]>;
  /** Routers that are registered stay so. Admins only. */
  revokeRouterToken(id: string, options?: CallOptions): Promise<void>;
  /** What apps can be made of, in the order in which it is tried. */
  listTemplates(options?: CallOptions): Promise<readonly TemplateView[]>;
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
  /** Every page of a list. */
  const many = async <T>(call: Call): Promise<readonly T[]> => {
    const items: T[] = [];
    for (let cursor: string | undefined; ;) {
      const query = { ...call.query, ...(cursor === undefined ? {} : { cursor }) };
      const page = await one<Partial<Page<T>>>({ ...call, query });
      items.push(...(page.items ?? []));
      if (page.next == null) return items;
      cursor = page.next;
    }
  };
  const stream = <T>(call: Call): AsyncIterable<T> => transport.stream(call) as AsyncIterable<T>;
  const apps = ["v1", "apps"];
  const bases = ["v1", "bases"];
  const registries = ["v1", "registries"];
  const joinTokens = ["v1", "join-tokens"];
  const routers = ["v1", "routers"];
  const routerTokens = ["v1", "router-tokens"];
  const command = (app: string, kind: "exec" | "run", request: ExecRequest | RunRequest, o?: CallOptions) =>
    execEvents(
      transport.stream({
        method: "POST",
        path: [...apps, app, kind],
        json: commandBody(request),
        once: true,
        ...o,
      }),
    );

  return {
    info: (o) => one({ method: "GET", path: ["v1", "info"], ...o }),
    session: (o) => one({ method: "GET", path: ["v1", "session"], ...o }),
    listApps: ({ state, prefix, ...o } = {}) =>
      many({ method: "GET", path: apps, query: { state, prefix }, ...o }),
    pageApps: (query = {}, o) => one({ method: "GET", path: apps, query: { ...query }, ...o }),
    pageReleases: (app, request = {}, o) =>
      one({ method: "GET", path: [...apps, app, "releases"], query: { ...request }, ...o }),
    listInstances: (query = {}, o) =>
      many({ method: "GET", path: ["v1", "instances"], query: { ...query }, ...o }),
    pageEvents: (query = {}, o) => one({ method: "GET", path: ["v1", "events"], query: { ...query }, ...o }),
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
        query: { template: o?.template, command: o?.command, base: o?.base, tag: o?.tag, file: o?.fileName },
        stream: archive,
        signal: o?.signal,
      }),
    createBuildFromUrl: (app, url, o) =>
      one({
        method: "POST",
        path: [...apps, app, "url-builds"],
        json: {
          url,
          template: o?.template,
          command: o?.command,
          base: o?.base,
          tag: o?.tag,
          file: o?.fileName,
        },
        isLong: true,
        once: true,
        signal: o?.signal,
      }),
    getBuild: (app, id, o) => one({ method: "GET", path: [...apps, app, "builds", id], ...o }),
    pageBuilds: (query = {}, o) => one({ method: "GET", path: ["v1", "builds"], query: { ...query }, ...o }),
    getBuildLog: (app, id, o) => one({ method: "GET", path: [...apps, app, "builds", id, "log"], ...o }),
    listBases: (o) => many({ method: "GET", path: bases, ...o }),
    addBase: (name, json, o) => one({ method: "POST", path: [...bases, name], json, isLong: true, ...o }),
    uploadBase: (name, tar, o) =>
      one({ method: "POST", path: [...bases, name, "archive"], stream: tar, ...o }),
    removeBase: async (name, o) => {
      await transport.json({ method: "DELETE", path: [...bases, name], ...o });
    },
    listRegistries: (o) => many({ method: "GET", path: registries, ...o }),
    addRegistry: (host, json, o) => one({ method: "POST", path: [...registries, host], json, ...o }),
    removeRegistry: async (host, o) => {
      await transport.json({ method: "DELETE", path: [...registries, host], ...o });
    },
    createRelease: (app, json, o) =>
      one({
        ...{ method: "POST", path: [...apps, app, "releases"], json, ...o },
        // Its image may have to be fetched first.
        isLong: json.image !== undefined,
      }),
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
    listSecretKeys: (o) => one({ method: "GET", path: ["v1", "secret-keys"], ...o }),
    getGrants: (app, o) => one({ method: "GET", path: [...apps, app, "grants"], ...o }),
    setGrants: (app, json, o) => one({ method: "PUT", path: [...apps, app, "grants"], json, ...o }),
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
    exec: (app, request, o) => command(app, "exec", request, o),
    run: (app, request, o) => command(app, "run", request, o),
    logs: (app, { tail, follow, instance } = {}, o) =>
      stream({ method: "GET", path: [...apps, app, "logs"], query: { tail, follow, instance }, ...o }),
    explain: (app, { instance } = {}, o) =>
      one({ method: "GET", path: [...apps, app, "explain"], query: { instance }, ...o }),
    planChange: (app, query, o) =>
      one({ method: "GET", path: [...apps, app, "plan"], query: { ...query }, ...o }),
    planPush: (app, json, o) => one({ method: "POST", path: [...apps, app, "plan"], json, ...o }),
    presentPlan: (o) => one({ method: "GET", path: ["v1", "plan"], ...o }),
    listNodes: (o) => many({ method: "GET", path: ["v1", "nodes"], ...o }),
    revokeNode: async (id, o) => {
      await transport.json({ method: "POST", path: ["v1", "nodes", id, "revoke"], ...o });
    },
    createJoinToken: (json = {}, o) => one({ method: "POST", path: joinTokens, json, once: true, ...o }),
    listJoinTokens: (o) => many({ method: "GET", path: joinTokens, ...o }),
    revokeJoinToken: async (id, o) => {
      await transport.json({ method: "DELETE", path: [...joinTokens, id], ...o });
    },
    listRouters: (o) => many({ method: "GET", path: routers, ...o }),
    registerRouter: (id, json = {}, o) => one({ method: "PUT", path: [...routers, id], json, ...o }),
    forgetRouter: async (id, o) => {
      const query = { confirm: o?.confirm };
      await transport.json({ method: "DELETE", path: [...routers, id], query, signal: o?.signal });
    },
    createRouterToken: (o) => one({ method: "POST", path: routerTokens, once: true, ...o }),
    listRouterTokens: (o) => many({ method: "GET", path: routerTokens, ...o }),
    revokeRouterToken: async (id, o) => {
      await transport.json({ method: "DELETE", path: [...routerTokens, id], ...o });
    },
    listTemplates: (o) => many({ method: "GET", path: ["v1", "templates"], ...o }),
    listEvents: async ({ app, limit } = {}, o) => {
      const call: Call = { method: "GET", path: ["v1", "events"], query: { app, limit }, ...o };
      return (await one<Page<EventView>>(call)).items;
    },
    followEvents: ({ app, limit } = {}, o) =>
      stream({ method: "GET", path: ["v1", "events"], query: { app, limit, follow: true }, ...o }),
  };
}
