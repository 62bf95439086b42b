import {
  type App,
  type Domain,
  type Endpoint,
  type InstanceStatus,
  type Placement,
  type Route,
} from "@dinp/core";

export function endpoint(instanceId: string): Endpoint {
  return { instanceId, host: "127.0.0.1", port: 20_000 };
}

export function route(host: string, path: string, instances: readonly string[] = ["i-1"]): Route {
  return {
    host,
    path,
    appId: "app-1",
    appName: "one",
    endpoints: instances.map(endpoint),
    unavailable: instances.length === 0 ? "no-ready-instance" : null,
  };
}

export function app(name: string, more: Partial<App> = {}): App {
  return {
    id: `app-${name}`,
    name,
    teamId: "team",
    desired: "running",
    instances: 1,
    currentRelease: "release-1",
    createdAt: 0,
    deletedAt: null,
    ...more,
  };
}

export function domain(host: string, appName: string, more: Partial<Domain> = {}): Domain {
  return { host, path: "/", appId: `app-${appName}`, createdAt: 0, ...more };
}

export function placement(instanceId: string, appName: string, more: Partial<Placement> = {}): Placement {
  return {
    instanceId,
    appId: `app-${appName}`,
    releaseId: "release-1",
    nodeId: "node-1",
    desired: "running",
    reason: "",
    createdAt: 0,
    changedAt: 0,
    ...more,
  };
}

export function status(
  instanceId: string,
  appName: string,
  more: Partial<InstanceStatus> = {},
): InstanceStatus {
  return {
    instanceId,
    appId: `app-${appName}`,
    releaseId: "release-1",
    nodeId: "node-1",
    phase: "running",
    ready: true,
    readyAt: 0,
    endpoint: endpoint(instanceId),
    startedAt: 0,
    reason: "",
    exit: null,
    seq: 1,
    ...more,
  };
}
