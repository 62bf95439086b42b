import { isDinpError } from "../model/errors.js";
import type { AppId, InstanceId } from "../model/records.js";
import type { RouterProgress } from "../platform/cluster-source.js";
import type { RecordChange } from "../ports/state-store.js";
import type { Route, RouteChange, RouteTable, RouteTableVersion } from "../ports/route-table.js";
import type { Clock, Logger } from "../ports/system.js";
import type { Touched } from "../plan/cluster-view.js";
import { type AppRouteInput, compareRoutes, routeKey } from "../routing/desired-routes.js";
import { diffRoutes, sameRoute } from "../routing/diff-routes.js";
import { RouteClaims } from "../routing/route-claims.js";
import { tellingFenced } from "./fenced.js";
import { acknowledgedBy, isAtLeast, progressOf, type Acknowledged } from "./router-progress.js";
import type { StateFollower } from "./state-follower.js";
import { forEachHint, repeatUntilAborted, runTogether, sleepQuietly } from "./tasks.js";
import { Wakeup } from "./wakeup.js";

export interface RoutePublisherOptions {
  readonly follower: StateFollower;
  readonly table: RouteTable;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly appsDomain: string;
  /** The leader's epoch: the table refuses older ones. */
  readonly epoch: number;
  /** Told when the table has refused a write because it has seen a newer leader. */
  readonly onFenced?: () => void;
  /** Told when drains or port reuse may have got further. */
  readonly onProgress: () => void;
}

/** Between one watch of the table and the next. */
const WATCH_PAUSE_MS = 1_000;
/** Routers acknowledge a change soon after each other: what they say is read together. */
const GATHER_MS = 10;

/**
 * Keeps the route table as the view says, app by app, and knows what every router has let go of.
 * A table that cannot be reached, that another wrote or that lost its past is read again and set right; it is never
 * emptied first.
 */
export class RoutePublisher {
  readonly #options: RoutePublisherOptions;
  readonly #news = new Wakeup();
  /** Apps whose routes may have changed; null: any. */
  #dirty: Set<AppId> | null = null;
  /** What the view wants; the whole of it once `#dirty` is no longer null. */
  readonly #claims = new RouteClaims();
  /** What the table says. */
  #routes = new Map<string, Route>();
  #version: RouteTableVersion | null = null;
  /** In how many routes an instance may be: while a change is under way, in those before and after it. */
  #routed = new Map<InstanceId, number>();
  /** The table from which on an instance is no longer in it. */
  readonly #absentSince = new Map<InstanceId, RouteTableVersion>();
  /** Instances that may have no record any more; null: any. */
  #gone: Set<InstanceId> | null = null;
  #acknowledged: ReadonlyMap<string, Acknowledged> | null = null;

  constructor(options: RoutePublisherOptions) {
    this.#options = options;
  }

  /** The instance may be in the published table. */
  isRouted(instanceId: InstanceId): boolean {
    return this.#routed.has(instanceId);
  }

  /** Every registered router routes by a table without the instance. False while that is not known. */
  readonly isUnrouted = (instanceId: InstanceId): boolean => {
    const since = this.#absence(instanceId);
    if (since === null) return false;
    for (const router of this.#options.follower.view.all("router")) {
      const said = this.#acknowledged?.get(router.id);
      if (said === undefined || !isAtLeast(said.version, since)) return false;
    }
    return true;
  };

  /** As {@link RoutePublisher.isUnrouted}, and no router has a request of the instance in flight. */
  readonly isDrained = (instanceId: InstanceId): boolean =>
    this.isUnrouted(instanceId) &&
    ![...(this.#acknowledged?.values() ?? [])].some(({ busy }) => busy.has(instanceId));

  /** What each router last said; null before they were heard. */
  get acknowledged(): ReadonlyMap<string, Acknowledged> | null {
    return this.#acknowledged;
  }

  /** How far a router is; null before the routers were heard and the table was read. */
  progressOf(routerId: string): RouterProgress | null {
    if (this.#acknowledged === null || this.#version === null) return null;
    const { view } = this.#options.follower;
    const kept = [...this.#absentSince].filter(([id]) => view.get("placement", id) !== undefined);
    const absent = kept.map(([, since]) => since);
    return progressOf(this.#acknowledged.get(routerId), this.#version, absent);
  }

  /** Publishes until the signal aborts; throws `DINP_FENCED` when the table has seen a newer leader. */
  async run(signal: AbortSignal): Promise<void> {
    const { follower, clock, logger } = this.#options;
    const isFatal = (error: unknown): boolean => isDinpError(error, "DINP_FENCED");
    const unsubscribe = follower.onChange((changes, touched) => {
      this.#note(changes, touched);
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
          (inner) =>
            repeatUntilAborted("watching the route table", (s) => this.#watchTable(s), {
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

  #note(changes: readonly RecordChange[] | null, touched: Touched | null): void {
    if (touched === null) this.#dirty = null;
    else for (const appId of touched.apps) this.#dirty?.add(appId);
    if (changes === null) this.#gone = null;
    else {
      for (const { kind, key, value } of changes) {
        if (value === null && (kind === "placement" || kind === "instanceStatus")) this.#gone?.add(key);
      }
    }
    this.#news.wake();
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const { follower, table, clock, epoch, onFenced, onProgress } = this.#options;
    if (!follower.fresh || (this.#version !== null && this.#dirty?.size === 0)) {
      await this.#news.wait(clock, null, signal);
      return;
    }
    const version = this.#version ?? (await this.#readTable(signal));
    const dirty = this.#dirty;
    this.#dirty = new Set();
    const changes = dirty === null ? this.#claimAll() : this.#claim(dirty);
    if (changes.length > 0 || version.epoch !== epoch) {
      for (const change of changes) if (change.op === "put") this.#count(change.route, 1);
      try {
        const applying = table.apply(changes, { epoch, ifVersion: version, signal });
        this.#version = await tellingFenced(applying, () => onFenced?.());
      } catch (error) {
        this.#version = null;
        this.#dirty = null;
        throw error;
      }
    }
    for (const change of changes) this.#carryOver(change, this.#version ?? version);
    // An earlier change may have been applied although its answer was lost: what it counted is in no table now.
    if (dirty === null) this.#settle(this.#version ?? version);
    this.#pruneAbsent();
    onProgress();
  }

  async #readTable(signal: AbortSignal): Promise<RouteTableVersion> {
    const snapshot = await this.#options.table.snapshot({ signal });
    this.#routes = new Map(snapshot.routes.map((route) => [routeKey(route.host, route.path), route]));
    for (const route of snapshot.routes) this.#count(route, 1);
    this.#dirty = null;
    this.#version = snapshot.version;
    return snapshot.version;
  }

  /** Takes every app's claims anew; returns how the wanted table differs from the present one. */
  #claimAll(): readonly RouteChange[] {
    this.#claims.clear();
    for (const app of this.#options.follower.view.all("app")) this.#claims.set(app.id, this.#inputOf(app.id));
    return diffRoutes([...this.#routes.values()], [...this.#claims.routes()]);
  }

  /** As {@link RoutePublisher.#claimAll}, for these apps alone. */
  #claim(apps: ReadonlySet<AppId>): readonly RouteChange[] {
    const keys = new Set<string>();
    for (const appId of apps) {
      for (const key of this.#claims.set(appId, this.#inputOf(appId))) keys.add(key);
    }
    const changes: RouteChange[] = [];
    for (const key of keys) {
      const [before, after] = [this.#routes.get(key), this.#claims.at(key)];
      if (after !== undefined) {
        if (before === undefined || !sameRoute(before, after)) changes.push({ op: "put", route: after });
      } else if (before !== undefined) changes.push({ op: "delete", host: before.host, path: before.path });
    }
    return changes.sort((a, b) => compareRoutes(addressOf(a), addressOf(b)));
  }

  #inputOf(appId: AppId): AppRouteInput | null {
    const { follower, appsDomain } = this.#options;
    const { view } = follower;
    const app = view.get("app", appId);
    if (app === undefined) return null;
    return {
      app,
      domains: [...view.of("domain", appId)],
      placements: [...view.of("placement", appId)],
      statuses: [...view.of("instanceStatus", appId)],
      withdrawals: [...view.of("withdrawal", appId)],
      appsDomain,
    };
  }

  /** The table has taken the change, whose new instances are counted already. */
  #carryOver(change: RouteChange, version: RouteTableVersion): void {
    const { host, path } = addressOf(change);
    const key = routeKey(host, path);
    const before = this.#routes.get(key);
    if (change.op === "put") {
      this.#routes.set(key, change.route);
      for (const { instanceId } of change.route.endpoints) this.#absentSince.delete(instanceId);
    } else this.#routes.delete(key);
    if (before === undefined) return;
    this.#count(before, -1);
    for (const { instanceId } of before.endpoints) {
      if (!this.#routed.has(instanceId)) this.#absentSince.set(instanceId, version);
    }
  }

  #count(route: Route, step: 1 | -1): void {
    for (const { instanceId } of route.endpoints) {
      const count = (this.#routed.get(instanceId) ?? 0) + step;
      if (count > 0) this.#routed.set(instanceId, count);
      else this.#routed.delete(instanceId);
    }
  }

  /** Counts anew, from the table that now stands. */
  #settle(version: RouteTableVersion): void {
    const before = this.#routed;
    this.#routed = new Map();
    for (const route of this.#routes.values()) this.#count(route, 1);
    for (const id of before.keys()) if (!this.#routed.has(id)) this.#absentSince.set(id, version);
    for (const id of this.#routed.keys()) this.#absentSince.delete(id);
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
    for (const id of [...(this.#gone ?? this.#absentSince.keys())]) {
      if (view.get("placement", id) === undefined && view.get("instanceStatus", id) === undefined) {
        this.#absentSince.delete(id);
      }
    }
    this.#gone = new Set();
  }

  /** Nothing else tells of a table that lost its past: until the next change it would stay as it is. */
  async #watchTable(signal: AbortSignal): Promise<void> {
    const { table, clock } = this.#options;
    const after = this.#version;
    if (after !== null) {
      for await (const event of table.watch({ after, signal })) {
        if (event.type === "changes") continue;
        this.#version = null;
        this.#dirty = null;
        this.#news.wake();
        break;
      }
    }
    await sleepQuietly(clock, WATCH_PAUSE_MS, signal);
  }

  async #followRouters(signal: AbortSignal): Promise<void> {
    const { table, clock, onProgress } = this.#options;
    const read = async (): Promise<void> => {
      this.#acknowledged = acknowledgedBy(await table.acknowledgements({ signal }));
      onProgress();
    };
    await read();
    await forEachHint(table.watchAcknowledgements({ signal }), async () => {
      await sleepQuietly(clock, GATHER_MS, signal);
      await read();
    });
  }
}

function addressOf(change: RouteChange): { readonly host: string; readonly path: string } {
  return change.op === "put" ? change.route : change;
}
