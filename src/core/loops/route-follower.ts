import { messageOf } from "../model/errors.js";
import type { InstanceId } from "../model/records.js";
import type { RouteCache } from "../ports/route-cache.js";
import type {
  RouterAcknowledgement,
  RouteTable,
  RouteTableEvent,
  RouteTableSnapshot,
  RouteTableVersion,
} from "../ports/route-table.js";
import type { Clock, Logger } from "../ports/system.js";
import { type ReadonlyRouteIndex, RouteIndex } from "../routing/route-index.js";
import { compareTableVersions, formatTableVersion } from "../routing/table-version.js";
import { childController, isAborted } from "./abort.js";
import { InFlight } from "./in-flight.js";
import { Latch } from "./latch.js";
import { TableKeeper } from "./table-keeper.js";
import { shrunkMsMax, TableTrust, type ServedTable } from "./table-trust.js";
import { Backoff, hintOf, runTogether, sleepQuietly } from "./tasks.js";
import { Wakeup } from "./wakeup.js";

/** An acknowledgement is said again this often, for a table that lost it. */
const ACKNOWLEDGE_EVERY_MS = 15_000;
/**
 * Requests first: saving a change and telling of it takes longer than routing by it. What comes meanwhile is told of together.
 * A stop or a port may wait for word of an instance that was let go of; nothing waits for word of one that came.
 */
const LET_GO_TOLD_AFTER_MS = 20;
const TOLD_AFTER_MS = 100;
/** Following that lasted this long counts as a success: the next pause is short again. */
const STEADY_MS = 5_000;
/**
 * A table that did not answer within this time at the start is waited for no longer: the saved one is served. A router is to serve
 * within two seconds, which the start of its process and the wait for its registration are part of.
 */
const FIRST_TABLE_MS = 500;

export interface RouteFollowerOptions {
  readonly table: RouteTable;
  readonly routerId: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where the last good table is kept for a start without the table. Default: nowhere. */
  readonly cache?: RouteCache;
}

/**
 * A router's side of the route table: keeps the table that requests are routed by, and tells the table what this router
 * has applied and which instances it still talks to.
 *
 * While the table does not answer, and after it lost its past, the last good table goes on being served. Refused, with a
 * warning: a version older than the present one of the same incarnation; a table of another incarnation that nobody
 * has written yet; and one that has less than half of the present routes, unless it says change by change that they were
 * deleted, an operator says that it is right ({@link RouteFollower.believe}), or it has stood for ten minutes. What was
 * refused is not acknowledged, so no port of it is used again.
 *
 * With a cache, the table that was saved last is served when the table does not answer within half a second of the start.
 */
export interface RouteFollower {
  /** Follows the table until the signal aborts. Once per follower (`TypeError`). Failures of the table are waited out. */
  run(signal: AbortSignal): Promise<void>;
  /** The present routes: ask anew for each attempt, and call {@link RouteFollower.begin} before anything is awaited. */
  index(): ReadonlyRouteIndex;
  /** The version of the present routes; null before the first table was applied. */
  version(): RouteTableVersion | null;
  /** Why the table is not followed at present, for people; null when it is. */
  problem(): string | null;
  /** The next snapshot is right, however few routes it has: an operator has looked at it. */
  believe(): void;
  /**
   * What was read or saved before may name ports that others have by now: unless the table is followed at this moment, its
   * routes are served no more, and the saved table is removed. `DINP_UNAVAILABLE` when it cannot be.
   */
  distrust(): Promise<void>;
  /** True once a first table was applied; false again only after {@link RouteFollower.distrust}, until the next one. */
  ready(): boolean;
  /** Resolves when the first table was applied; `DINP_ABORTED` when the signal aborts first. */
  whenReady(signal: AbortSignal): Promise<void>;
  /** A request to the instance is about to be sent. Each `begin` needs one `end`. */
  begin(instanceId: InstanceId): void;
  /** That request has ended, upgraded connections and bodies included. */
  end(instanceId: InstanceId): void;
}

/** Makes a {@link RouteFollower}. Does no I/O before `run`. */
export function createRouteFollower(options: RouteFollowerOptions): RouteFollower {
  return new TableRouteFollower(options);
}

class TableRouteFollower implements RouteFollower {
  readonly #table: RouteTable;
  readonly #routerId: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #keeper: TableKeeper | null;
  readonly #trust: TableTrust;
  readonly #inFlight = new InFlight();
  readonly #toAcknowledge = new Wakeup();
  readonly #letGo = new Wakeup();
  readonly #toFollow = new Wakeup();
  readonly #firstTable = new Latch();
  #index = new RouteIndex();
  #version: RouteTableVersion | null = null;
  #problem: string | null = "the table was not read yet";
  #mayStartFromCache = true;
  #started = false;

  constructor(options: RouteFollowerOptions) {
    this.#table = options.table;
    this.#routerId = options.routerId;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#trust = new TableTrust(options.clock);
    const { cache } = options;
    this.#keeper = cache === undefined ? null : new TableKeeper({ ...options, cache });
  }

  async run(signal: AbortSignal): Promise<void> {
    if (this.#started) throw new TypeError("A route follower runs once.");
    this.#started = true;
    const keeper = this.#keeper;
    await runTogether(
      [
        (inner) => this.#follow(inner),
        (inner) => this.#acknowledge(inner),
        ...(keeper === null ? [] : [(inner: AbortSignal) => this.#startFromCache(keeper, inner)]),
      ],
      signal,
    );
  }

  index(): ReadonlyRouteIndex {
    return this.#index;
  }

  version(): RouteTableVersion | null {
    return this.#version;
  }

  problem(): string | null {
    return this.#problem;
  }

  believe(): void {
    this.#trust.believe();
    this.#toFollow.wake();
  }

  async distrust(): Promise<void> {
    this.#mayStartFromCache = false;
    if (this.#problem === null) return;
    this.#index = new RouteIndex();
    this.#version = null;
    await this.#keeper?.discard();
    this.#toFollow.wake();
  }

  ready(): boolean {
    return this.#version !== null;
  }

  async whenReady(signal: AbortSignal): Promise<void> {
    await this.#firstTable.wait(signal, "the first route table");
  }

  begin(instanceId: InstanceId): void {
    this.#inFlight.begin(instanceId);
  }

  end(instanceId: InstanceId): void {
    const wasLast = this.#inFlight.end(instanceId);
    if (!wasLast || this.#index.hasInstance(instanceId)) return;
    this.#letGo.wake();
    this.#toAcknowledge.wake();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(this.#clock);
    while (!signal.aborted) {
      const since = this.#clock.monotonicMs();
      try {
        await this.#followOnce(signal);
      } catch (error) {
        if (isAborted(signal)) return;
        this.#problem = `the table does not answer: ${messageOf(error)}`;
        this.#logger.warn(`the route table cannot be followed; ${this.#servedMeanwhile()}`, {
          error: messageOf(error),
          ...hintOf(error),
        });
      }
      if (this.#clock.monotonicMs() - since >= STEADY_MS) backoff.succeeded();
      await backoff.pause(signal);
    }
  }

  #servedMeanwhile(): string {
    return this.ready() ? "the last good one is served" : "none was read yet, so nothing is served";
  }

  /** One snapshot and the changes after it; after a refused one, the wait for the next change. */
  async #followOnce(signal: AbortSignal): Promise<void> {
    const snapshot = await this.#table.snapshot({ signal });
    const after = snapshot.version;
    const refusal = this.#trust.refusalOf(snapshot, this.#served());
    if (refusal !== null) {
      this.#problem = `a table was refused: ${refusal}`;
      this.#logger.warn(`a route table was refused; ${this.#servedMeanwhile()}`, { reason: refusal });
      await this.#untilChanged(after, signal);
      return;
    }
    this.#swap(snapshot);
    this.#problem = null;
    for await (const event of this.#table.watch({ after, signal })) {
      if (!this.#apply(event)) break;
    }
  }

  /** Waits until the refused table changes, or an operator believes it. */
  async #untilChanged(after: RouteTableVersion, signal: AbortSignal): Promise<void> {
    const { controller: over, detach } = childController(signal);
    try {
      await runTogether(
        [
          async (inner) => {
            for await (const { type } of this.#table.watch({ after, signal: inner })) {
              this.#logger.debug("the refused route table has changed", { type });
              break;
            }
            over.abort();
          },
          async (inner) => {
            await this.#toFollow.wait(this.#clock, shrunkMsMax, inner);
            over.abort();
          },
        ],
        over.signal,
      );
    } finally {
      detach();
    }
  }

  /** Serves the saved table when the first one is late. */
  async #startFromCache(keeper: TableKeeper, signal: AbortSignal): Promise<void> {
    const waited = sleepQuietly(this.#clock, FIRST_TABLE_MS, signal);
    const [saved] = await Promise.all([keeper.load(signal), waited]);
    if (saved === null || isAborted(signal) || this.ready() || !this.#mayStartFromCache) return;
    this.#logger.warn("the route table does not answer; the one that was saved last is served", {
      version: formatTableVersion(saved.version),
      routes: saved.routes.length,
    });
    this.#swap(saved);
  }

  #served(): ServedTable | null {
    return this.#version === null ? null : { version: this.#version, size: this.#index.size };
  }

  #swap({ version, routes }: RouteTableSnapshot): void {
    this.#index = new RouteIndex(routes);
    this.#keeper?.noteTable();
    this.#trust.accepted();
    this.#letGo.wake();
    this.#applied(version);
  }

  /** Returns false when the event does not continue the present table, so that a new snapshot is needed. */
  #apply(event: RouteTableEvent): boolean {
    if (event.type === "reset" || this.#version === null) return false;
    const order = compareTableVersions(event.version, this.#version);
    if (order === null) return false;
    // Doubles are allowed. An older epoch's change is one that this table has already left behind.
    if (order <= 0) return true;
    if (event.version.revision !== this.#version.revision + 1) return false;
    if (this.#index.apply(event.changes)) this.#letGo.wake();
    this.#keeper?.noteChange(event.version, event.changes);
    this.#applied(event.version);
    return true;
  }

  #applied(version: RouteTableVersion): void {
    this.#version = version;
    this.#firstTable.open();
    this.#toAcknowledge.wake();
  }

  async #acknowledge(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(this.#clock);
    while (!signal.aborted) {
      await this.#toAcknowledge.wait(this.#clock, ACKNOWLEDGE_EVERY_MS, signal);
      await this.#letGo.wait(this.#clock, TOLD_AFTER_MS - LET_GO_TOLD_AFTER_MS, signal);
      await sleepQuietly(this.#clock, LET_GO_TOLD_AFTER_MS, signal);
      const acknowledgement = this.#acknowledgement();
      if (isAborted(signal) || acknowledgement === null) continue;
      if (!(await this.#persist(acknowledgement.version, signal))) {
        await backoff.pause(signal);
        this.#toAcknowledge.wake();
        continue;
      }
      try {
        await this.#table.acknowledge(acknowledgement, { signal });
        backoff.succeeded();
      } catch (error) {
        if (isAborted(signal)) return;
        this.#logger.warn("the applied route table could not be acknowledged; it is tried again", {
          error: messageOf(error),
          ...hintOf(error),
        });
        await backoff.pause(signal);
        this.#toAcknowledge.wake();
      }
    }
  }

  /** True when a start from the saved table would not go back behind this version. */
  async #persist(version: RouteTableVersion, signal: AbortSignal): Promise<boolean> {
    if (this.#keeper === null) return true;
    const present = (): RouteTableSnapshot => ({
      version: this.#version ?? version,
      routes: [...this.#index.routes()],
    });
    return await this.#keeper.persist(present, signal);
  }

  #acknowledgement(): RouterAcknowledgement | null {
    if (this.#version === null) return null;
    const busy = this.#inFlight.instances((instanceId) => !this.#index.hasInstance(instanceId));
    return { routerId: this.#routerId, version: this.#version, busy };
  }
}
