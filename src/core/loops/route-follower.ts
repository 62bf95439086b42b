import { DinpError, messageOf } from "../model/errors.js";
import type { InstanceId } from "../model/records.js";
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
import { isAborted } from "./abort.js";
import { InFlight } from "./in-flight.js";
import { Backoff, runTogether } from "./tasks.js";
import { Wakeup } from "./wakeup.js";

/** An acknowledgement is said again this often, for a table that lost it. */
const ACKNOWLEDGE_EVERY_MS = 15_000;
/** Following that lasted this long counts as a success: the next pause is short again. */
const STEADY_MS = 5_000;

export interface RouteFollowerOptions {
  readonly table: RouteTable;
  readonly routerId: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * A router's side of the route table: keeps the table that requests are routed by, and tells the table what this router
 * has applied and which instances it still talks to.
 *
 * While the table does not answer, and after it lost its past, the last good table goes on being served. Refused, with a
 * warning: a version older than the present one of the same incarnation; and a table of another incarnation that nobody
 * has written yet.
 */
export interface RouteFollower {
  /** Follows the table until the signal aborts. Once per follower (`TypeError`). Failures of the table are waited out. */
  run(signal: AbortSignal): Promise<void>;
  /** The present routes: ask anew for each attempt, and call {@link RouteFollower.begin} before anything is awaited. */
  index(): ReadonlyRouteIndex;
  /** The version of the present routes; null before the first table was applied. */
  version(): RouteTableVersion | null;
  /** True once a first table was applied; never false again. */
  ready(): boolean;
  /** Resolves when {@link RouteFollower.ready}; `DINP_ABORTED` when the signal aborts first. */
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
  readonly #inFlight = new InFlight();
  readonly #toAcknowledge = new Wakeup();
  readonly #whenReady: Promise<void>;
  #becomeReady: () => void = () => undefined;
  #index = new RouteIndex();
  #version: RouteTableVersion | null = null;
  #started = false;

  constructor(options: RouteFollowerOptions) {
    this.#table = options.table;
    this.#routerId = options.routerId;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#whenReady = new Promise((resolve) => {
      this.#becomeReady = resolve;
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    if (this.#started) throw new TypeError("A route follower runs once.");
    this.#started = true;
    await runTogether([(inner) => this.#follow(inner), (inner) => this.#acknowledge(inner)], signal);
  }

  index(): ReadonlyRouteIndex {
    return this.#index;
  }

  version(): RouteTableVersion | null {
    return this.#version;
  }

  ready(): boolean {
    return this.#version !== null;
  }

  async whenReady(signal: AbortSignal): Promise<void> {
    let abort: () => void = () => undefined;
    const aborted = new Promise<void>((resolve) => {
      abort = resolve;
    });
    signal.addEventListener("abort", abort, { once: true });
    if (!signal.aborted) await Promise.race([this.#whenReady, aborted]);
    signal.removeEventListener("abort", abort);
    if (!this.ready()) throw new DinpError("DINP_ABORTED", "The wait for the first route table was aborted.");
  }

  begin(instanceId: InstanceId): void {
    this.#inFlight.begin(instanceId);
  }

  end(instanceId: InstanceId): void {
    const wasLast = this.#inFlight.end(instanceId);
    if (wasLast && !this.#index.hasInstance(instanceId)) this.#toAcknowledge.wake();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(this.#clock);
    while (!signal.aborted) {
      const since = this.#clock.monotonicMs();
      try {
        await this.#followOnce(signal);
      } catch (error) {
        if (isAborted(signal)) return;
        this.#logger.warn("the route table cannot be followed; the last good one is served", {
          error: messageOf(error),
        });
      }
      if (this.#clock.monotonicMs() - since >= STEADY_MS) backoff.succeeded();
      await backoff.pause(signal);
    }
  }

  /** One snapshot and the changes after it; after a refused one, the wait for the next change. */
  async #followOnce(signal: AbortSignal): Promise<void> {
    const snapshot = await this.#table.snapshot({ signal });
    const after = snapshot.version;
    const refusal = this.#refusalOf(snapshot);
    if (refusal === null) this.#swap(snapshot);
    else this.#logger.warn("a route table was refused; the last good one is served", { reason: refusal });
    for await (const event of this.#table.watch({ after, signal })) {
      if (refusal !== null || !this.#apply(event)) break;
    }
  }

  #refusalOf({ version }: RouteTableSnapshot): string | null {
    if (this.#version === null) return null;
    const present = formatTableVersion(this.#version);
    const order = compareTableVersions(version, this.#version);
    if (order !== null && order < 0) return `${formatTableVersion(version)} is older than ${present}`;
    if (order === null && version.revision === 0 && this.#index.size > 0) {
      return `${formatTableVersion(version)} was never written, ${present} is kept until it is`;
    }
    return null;
  }

  #swap({ version, routes }: RouteTableSnapshot): void {
    this.#index = new RouteIndex(routes);
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
    this.#index.apply(event.changes);
    this.#applied(event.version);
    return true;
  }

  #applied(version: RouteTableVersion): void {
    this.#version = version;
    this.#becomeReady();
    this.#toAcknowledge.wake();
  }

  async #acknowledge(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(this.#clock);
    while (!signal.aborted) {
      await this.#toAcknowledge.wait(this.#clock, ACKNOWLEDGE_EVERY_MS, signal);
      const acknowledgement = this.#acknowledgement();
      if (isAborted(signal) || acknowledgement === null) continue;
      try {
        await this.#table.acknowledge(acknowledgement, { signal });
        backoff.succeeded();
      } catch (error) {
        if (isAborted(signal)) return;
        this.#logger.warn("the applied route table could not be acknowledged; it is tried again", {
          error: messageOf(error),
        });
        await backoff.pause(signal);
        this.#toAcknowledge.wake();
      }
    }
  }

  #acknowledgement(): RouterAcknowledgement | null {
    if (this.#version === null) return null;
    const busy = this.#inFlight.instances((instanceId) => !this.#index.hasInstance(instanceId));
    return { routerId: this.#routerId, version: this.#version, busy };
  }
}
