import "reflect-metadata";
import { instanceCachingFactory, type DependencyContainer } from "tsyringe";
import type {
  Agent,
  Archive,
  Builder,
  Clock,
  ControlLinkClient,
  ControlLinkServer,
  Hasher,
  HealthMonitor,
  Images,
  InstancePorts,
  LocalState,
  Logger,
  Metrics,
  MonitorPolicy,
  NodeGate,
  PlanPolicy,
  Platform,
  Prober,
  Random,
  Registry,
  RegistryConnector,
  RouteCache,
  RouteFollower,
  RouteTable,
  Runtime,
  SecretBox,
  Server,
  StateStore,
  UploadFetcher,
} from "@dinp/core";
import type { ClusterFacts, MonitorFacts, NodeFacts, ServerFacts } from "./facts.js";

/** What a part of a program is asked for by; `T` is what comes of it. */
export type Token<T> = symbol & { readonly part?: T };

function token<T>(name: string): Token<T> {
  return Symbol(`dinp.${name}`);
}

/** The parts that programs are composed of: register another factory for one, and the rest works with that. */
export const tokens = {
  clock: token<Clock>("clock"),
  random: token<Random>("random"),
  logger: token<Logger>("logger"),
  metrics: token<Metrics>("metrics"),
  hasher: token<Hasher>("hasher"),
  cluster: token<ClusterFacts>("cluster"),

  /** Opened by whoever registers it, as is all that has to be opened. */
  stateStore: token<StateStore>("stateStore"),
  /** Of images. */
  registry: token<Registry>("registry"),
  /** Reads and writes what uploads and images are made of. */
  archive: token<Archive>("archive"),
  secretBox: token<SecretBox>("secretBox"),
  /** Other registries that images may be taken from. */
  registryConnector: token<RegistryConnector>("registryConnector"),
  uploadFetcher: token<UploadFetcher>("uploadFetcher"),
  builder: token<Builder>("builder"),
  images: token<Images>("images"),
  platform: token<Platform>("platform"),

  serverFacts: token<ServerFacts>("serverFacts"),
  planPolicy: token<PlanPolicy>("planPolicy"),
  nodeGate: token<NodeGate>("nodeGate"),
  /** The servers' end of the agents' connections. */
  controlLinkServer: token<ControlLinkServer>("controlLinkServer"),
  server: token<Server>("server"),

  nodeFacts: token<NodeFacts>("nodeFacts"),
  /** A node's few values on its own disk. */
  localState: token<LocalState>("localState"),
  runtime: token<Runtime>("runtime"),
  prober: token<Prober>("prober"),
  instancePorts: token<InstancePorts>("instancePorts"),
  /** An agent's end of its connection. */
  controlLinkClient: token<ControlLinkClient>("controlLinkClient"),
  agent: token<Agent>("agent"),

  routeTable: token<RouteTable>("routeTable"),
  /** A router's last good table; null: it is kept nowhere. */
  routeCache: token<RouteCache | null>("routeCache"),
  /** A router's name among all routers. */
  routerId: token<string>("routerId"),
  routeFollower: token<RouteFollower>("routeFollower"),

  monitorFacts: token<MonitorFacts>("monitorFacts"),
  /** What a health monitor judges by. */
  monitorPolicy: token<MonitorPolicy>("monitorPolicy"),
  healthMonitor: token<HealthMonitor>("healthMonitor"),
} as const;

/** Says how a part is made: once, when it is first asked for. What was said before for the same part is replaced. */
export function provide<T>(
  container: DependencyContainer,
  part: Token<T>,
  make: (container: DependencyContainer) => T,
): void {
  container.register<T>(part, { useFactory: instanceCachingFactory(make) });
}

/** Says how a part is made unless that was said. */
export function provideDefault<T>(
  container: DependencyContainer,
  part: Token<T>,
  make: (container: DependencyContainer) => T,
): void {
  if (!container.isRegistered(part, true)) provide(container, part, make);
}

/** The part. `TypeError` when nobody said how it is made. */
export function part<T>(container: DependencyContainer, wanted: Token<T>): T {
  if (!container.isRegistered(wanted, true)) {
    throw new TypeError(`Nothing is registered for ${wanted.description ?? "this token"}.`);
  }
  return container.resolve<T>(wanted);
}
