import type { App, AppId, Domain, Endpoint, InstanceStatus, Placement } from "../model/records.js";
import type { Withdrawal } from "../model/withdrawal.js";
import type { Route } from "../ports/route-table.js";
import { honouredWithdrawals } from "./honoured-withdrawals.js";

/** The records that decide one app's routes. Records of other apps in the lists are ignored. */
export interface AppRouteInput {
  readonly app: App;
  readonly domains: readonly Domain[];
  readonly placements: readonly Placement[];
  readonly statuses: readonly InstanceStatus[];
  readonly withdrawals: readonly Withdrawal[];
  /** The platform's own domain: the app answers at `NAME.<appsDomain>`. Lower case. */
  readonly appsDomain: string;
}

/** The records that decide the whole table. */
export interface RouteInput extends Omit<AppRouteInput, "app"> {
  readonly apps: readonly App[];
}

/** A route that an app wants; where two apps want the same host and path, the smaller rank wins. */
export interface RouteClaim {
  readonly route: Route;
  readonly rank: string;
}

/** Orders routes by host, then path, by code unit: the order of every list of routes here. */
export function compareRoutes(
  a: { readonly host: string; readonly path: string },
  b: { readonly host: string; readonly path: string },
): number {
  return compareText(a.host, b.host) || compareText(a.path, b.path);
}

/**
 * The routes that one app should have, ordered by host and path.
 *
 * A deleted app and an app that never had a release have none. A stopped app keeps its routes without endpoints, so
 * that a router can say so. Otherwise the endpoints are those of the app's instances whose placement is desired
 * `running` and whose status is `running`, ready and has an endpoint, but for those of {@link honouredWithdrawals}, ordered by
 * instance id.
 */
export function routesOfApp(input: AppRouteInput): Route[] {
  const { app } = input;
  if (app.deletedAt !== null || app.currentRelease === null) return [];
  const endpoints = app.desired === "running" ? servingEndpoints(input) : [];
  const unavailable = unavailableReason(app, endpoints);
  const routes = new Map<string, Route>();
  for (const { host, path } of addressesOf(input)) {
    const route: Route = { host, path, appId: app.id, appName: app.name, endpoints, unavailable };
    routes.set(routeKey(host, path), route);
  }
  return [...routes.values()].sort(compareRoutes);
}

/**
 * As {@link routesOfApp}, each with the rank by which it stands against another app's: an app's own `NAME.<appsDomain>`
 * before any domain, then the older domain, then the app id.
 */
export function claimsOfApp(input: AppRouteInput): RouteClaim[] {
  return routesOfApp(input).map((route) => ({ route, rank: claimRank(route, input) }));
}

/**
 * The routes of all apps, ordered by host and path, one per host and path. Where a domain of one app is another app's
 * own `NAME.<appsDomain>`, the name wins; between two domains (the store's keys forbid it) the older one wins.
 */
export function desiredRoutes(input: RouteInput): Route[] {
  const domains = groupByApp(input.domains);
  const placements = groupByApp(input.placements);
  const statuses = groupByApp(input.statuses);
  const withdrawals = groupByApp(input.withdrawals);
  const routes = new Map<string, { readonly route: Route; readonly rank: string }>();
  for (const app of input.apps) {
    const own = {
      app,
      domains: domains.get(app.id) ?? [],
      placements: placements.get(app.id) ?? [],
      statuses: statuses.get(app.id) ?? [],
      withdrawals: withdrawals.get(app.id) ?? [],
      appsDomain: input.appsDomain,
    };
    for (const { route, rank } of claimsOfApp(own)) {
      const key = routeKey(route.host, route.path);
      const present = routes.get(key);
      if (present === undefined || rank < present.rank) routes.set(key, { route, rank });
    }
  }
  return [...routes.values()].map((entry) => entry.route).sort(compareRoutes);
}

/** The text that stands for a route's host and path in maps: hosts hold no `/`, so no two routes share one. */
export function routeKey(host: string, path: string): string {
  return host + path;
}

function unavailableReason(app: App, endpoints: readonly Endpoint[]): Route["unavailable"] {
  if (app.desired === "stopped") return "stopped";
  return endpoints.length === 0 ? "no-ready-instance" : null;
}

function addressesOf({ app, domains, appsDomain }: AppRouteInput): { host: string; path: string }[] {
  return [
    { host: `${app.name}.${appsDomain}`, path: "/" },
    ...domains
      .filter((domain) => domain.appId === app.id)
      .map((domain) => ({ host: domain.host, path: domain.path })),
  ];
}

/** Those that are ready, without those that are withdrawn. */
function servingEndpoints(input: AppRouteInput): Endpoint[] {
  const ready = readyEndpoints(input);
  const withdrawn = honouredWithdrawals(ready, input.withdrawals);
  return withdrawn.size === 0 ? ready : ready.filter(({ instanceId }) => !withdrawn.has(instanceId));
}

function readyEndpoints({ app, placements, statuses }: AppRouteInput): Endpoint[] {
  const wanted = new Set<string>();
  for (const placement of placements) {
    if (placement.appId === app.id && placement.desired === "running") wanted.add(placement.instanceId);
  }
  const endpoints: Endpoint[] = [];
  for (const status of statuses) {
    if (status.appId !== app.id || !wanted.has(status.instanceId)) continue;
    if (status.phase !== "running" || !status.ready || status.endpoint === null) continue;
    endpoints.push(status.endpoint);
  }
  return endpoints.sort((a, b) => compareText(a.instanceId, b.instanceId));
}

/** Smaller wins: an app's own name before any domain, then the older domain, then the app id. */
function claimRank(route: Route, { app, domains, appsDomain }: AppRouteInput): string {
  if (route.path === "/" && route.host === `${app.name}.${appsDomain}`) return `0 ${app.id}`;
  const domain = domains.find(({ host, path }) => host === route.host && path === route.path);
  return `1 ${String(domain?.createdAt ?? 0).padStart(16, "0")} ${app.id}`;
}

function groupByApp<T extends { readonly appId: AppId }>(records: readonly T[]): Map<AppId, T[]> {
  const groups = new Map<AppId, T[]>();
  for (const record of records) {
    const group = groups.get(record.appId);
    if (group === undefined) groups.set(record.appId, [record]);
    else group.push(record);
  }
  return groups;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
