import { isDinpError } from "../model/errors.js";
import type { AppId, InstanceId } from "../model/records.js";
import type { RecordChange } from "../ports/state-store.js";
import type {
  Route,
  RouterAcknowledgement,
  RouteChange,
  RouteTable,
  RouteTableVersion,
} from "../ports/route-table.js";
import type { Clock, Logger } from "../ports/system.js";
import { routeKey, routesOfApp } from "../routing/desired-routes.js";
import { diffRoutes } from "../routing/diff-routes.js";
import type { StateFollower } from "./state-follower.js";
import { forEachHint, repeatUntilAborted, runTogether } from "./tasks.js";
import { Wakeup } from "./wakeup.js";

export interface RoutePublisherOptions {
  readonly follower: StateFollower;
  readonly table: RouteTable;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly appsDomain: string;
  /** The leader's epoch: the table refuses older ones. */
  readonly epoch: number;
  /** Told when drains or port reuse may have got further. */
  readonly onProgress: () => void;
}

/**
 * Keeps the route table as the view says, app by app, and knows what every router has let go of.
 * A table that cannot be reached or that another wrote is read again and set right; it is never emptied first.
 */
export class RoutePublisher {
  readonly #options: RoutePublisherOptions;
  readonly #news = new Wakeup();
  /** Apps whose routes may have changed; null: any. */
  #dirty: Set<AppId> | null = null;
  #routes = new Map<string, Route>();
  #keysOfApp = new Map<AppId, readonly string[]>();
  #version: RouteTableVersion | null = null;
  /** Instances that may be in the table: while a change is under way, those before and after it. */
  #routed = new Set<InstanceId>();
  /** The table from which on an instance is no longer in it. */
  readonly #absentSince = new Map<InstanceId, RouteTableVersion>();
  #acknowledged: readonly RouterAcknowledgement[] = [];

  constructor(options: RoutePublisherOptions) {
    this.#options = options;
  }

  /** Every registered router routes by a table without the instance. False while that is not known. */
  readonly isUnrouted = (instanceId: InstanceId): boolean => {
    const since = this.#absence(instanceId);
    if (since === null) return false;
    for (const router of this.#options.follower.view.all("router")) {
      const said = this.#acknowledged.find((candidate) => candidate.routerId === router.id);
      if (said === undefined || !isAtLeast(said.version, since)) return false;
    }
    return true;
  };

  /** As {@link RoutePublisher.isUnrouted}, and no router has a request of the instance in flight. */
  readonly isDrained = (instanceId: InstanceId): boolean =>
    this.isUnrouted(instanceId) && !this.#acknowledged.some((router) => router.busy.includes(instanceId));

  /** Publishes until the signal aborts; throws `DINP_FENCED` when the table has seen a newer leader. */
  async run(signal: AbortSignal): Promise<void> {
    const { follower, clock, logger } = this.#options;
    const isFatal = (error: unknown): boolean => isDinpError(error, "DINP_FENCED");
    const unsubscribe = follower.onChange((changes) => {
      this.#note(changes);
    });
    const context = { clock, logger, isFatal };
    try {
      await runTogether(
        [
          (inner) =>
            repeatUntilAborted("publishing routes", (s) => this.#publish(s), { ...context, signal: inner }),
          (inner) =>
            repeatUntilAborted("following routers", (s) => this.#followRouters(s), {
              ...context,
              signal: inner,
            }),
        ],
        signal,
      );
    } finally {
      unsubscribe();
    }
  }

  #note(changes: readonly RecordChange[] | null): void {
    if (changes === null) this.#dirty = null;
    else for (const change of changes) this.#noteChange(change);
    this.#news.wake();
  }

  #noteChange(change: RecordChange): void {
    if (this.#dirty === null) return;
    if (change.kind === "app") this.#dirty.add(change.key);
    else if (change.kind === "placement" || change.kind === "instanceStatus" || change.kind === "domain") {
      const owner = change.value?.appId;
      // A deletion does not say whose record it was: look at all.
      if (owner === undefined) this.#dirty = null;
      else this.#dirty.add(owner);
    }
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const { follower, table, clock, epoch, onProgress } = this.#options;
    if (!follower.fresh || (this.#version !== null && this.#dirty?.size === 0)) {
      await this.#news.wait(clock, null, signal);
      return;
    }
    const version = this.#version ?? (await this.#readTable(signal));
    const dirty = this.#dirty;
    this.#dirty = new Set();
    const { changes, routes, keysOfApp } = this.#desired(dirty);
    const after = instancesOf(routes.values());
    if (changes.length > 0 || version.epoch !== epoch) {
      this.#routed = new Set([...this.#routed, ...after]);
      try {
        this.#version = await table.apply(changes, { epoch, ifVersion: version, signal });
      } catch (error) {
        this.#version = null;
        this.#dirty = null;
        throw error;
      }
    }
    // Also when nothing was to change: an earlier change may have been applied although its answer was lost.
    this.#settle(after, this.#version ?? version);
    this.#routes = routes;
    this.#keysOfApp = keysOfApp;
    this.#pruneAbsent();
    onProgress();
  }

  async #readTable(signal: AbortSignal): Promise<RouteTableVersion> {
    const snapshot = await this.#options.table.snapshot({ signal });
    this.#routes = new Map(snapshot.routes.map((route) => [routeKey(route.host, route.path), route]));
    this.#keysOfApp = new Map();
    this.#routed = new Set([...this.#routed, ...instancesOf(snapshot.routes)]);
    this.#dirty = null;
    this.#version = snapshot.version;
    return snapshot.version;
  }

  /** The wanted table, and how it differs from the present one. `dirty` null: every app is looked at. */
  #desired(dirty: ReadonlySet<AppId> | null): {
    readonly changes: readonly RouteChange[];
    readonly routes: Map<string, Route>;
    readonly keysOfApp: Map<AppId, readonly string[]>;
  } {
    const { view } = this.#options.follower;
    if (dirty === null) {
      const routes = new Map<string, Route>();
      const keysOfApp = new Map<AppId, readonly string[]>();
      for (const app of view.all("app")) this.#addApp(app.id, routes, keysOfApp);
      return { changes: diffRoutes([...this.#routes.values()], [...routes.values()]), routes, keysOfApp };
    }
    const before: Route[] = [];
    const routes = new Map(this.#routes);
    const keysOfApp = new Map(this.#keysOfApp);
    for (const appId of dirty) {
      for (const key of keysOfApp.get(appId) ?? []) {
        const route = routes.get(key);
        if (route === undefined) continue;
        before.push(route);
        routes.delete(key);
      }
      keysOfApp.delete(appId);
    }
    for (const appId of dirty) this.#addApp(appId, routes, keysOfApp);
    const after = [...dirty]
      .flatMap((appId) => keysOfApp.get(appId) ?? [])
      .flatMap((key) => routes.get(key) ?? []);
    return { changes: diffRoutes(before, after), routes, keysOfApp };
  }

  #addApp(appId: AppId, routes: Map<string, Route>, keysOfApp: Map<AppId, readonly string[]>): void {
    const { follower, appsDomain } = this.#options;
    const { view } = follower;
    const app = view.get("app", appId);
    if (app === undefined) return;
    const own = routesOfApp({
      app,
      domains: [...view.of("domain", appId)],
      placements: [...view.of("placement", appId)],
      statuses: [...view.of("instanceStatus", appId)],
      appsDomain,
    });
    const keys: string[] = [];
    for (const route of own) {
      const key = routeKey(route.host, route.path);
      if (routes.has(key)) continue;
      routes.set(key, route);
      keys.push(key);
    }
    if (keys.length > 0) keysOfApp.set(appId, keys);
  }

  #settle(after: Set<InstanceId>, version: RouteTableVersion): void {
    for (const id of this.#routed) if (!after.has(id)) this.#absentSince.set(id, version);
    for (const id of after) this.#absentSince.delete(id);
    this.#routed = after;
  }

  /** An instance that was never seen in a table counts as absent from the present one on. */
  #absence(instanceId: InstanceId): RouteTableVersion | null {
    if (this.#version === null || this.#routed.has(instanceId)) return null;
    const since = this.#absentSince.get(instanceId);
    if (since !== undefined && since.incarnation === this.#version.incarnation) return since;
    this.#absentSince.set(instanceId, this.#version);
    return this.#version;
  }

  #pruneAbsent(): void {
    const { view } = this.#options.follower;
    for (const id of [...this.#absentSince.keys()]) {
      if (view.get("placement", id) === undefined && view.get("instanceStatus", id) === undefined) {
        this.#absentSince.delete(id);
      }
    }
  }

  async #followRouters(signal: AbortSignal): Promise<void> {
    const { table, onProgress } = this.#options;
    this.#acknowledged = await table.acknowledgements({ signal });
    onProgress();
    await forEachHint(table.watchAcknowledgements({ signal }), async () => {
      this.#acknowledged = await table.acknowledgements({ signal });
      onProgress();
    });
  }
}

function instancesOf(routes: Iterable<Route>): Set<InstanceId> {
  const ids = new Set<InstanceId>();
  for (const route of routes) for (const endpoint of route.endpoints) ids.add(endpoint.instanceId);
  return ids;
}

function isAtLeast(version: RouteTableVersion, wanted: RouteTableVersion): boolean {
  if (version.incarnation !== wanted.incarnation) return false;
  if (version.epoch !== wanted.epoch) return version.epoch > wanted.epoch;
  return version.revision >= wanted.revision;
}
