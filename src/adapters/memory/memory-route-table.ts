import {
  assertTableEpoch,
  assertTableVersion,
  assertTableWritable,
  copyTableVersion,
  DinpError,
  isSameTableVersion,
  prepareAcknowledgement,
  prepareRouteChanges,
  type Random,
  randomText,
  type Route,
  type RouteChange,
  routeKey,
  type RouterAcknowledgement,
  type RouteTable,
  type RouteTableEvent,
  type RouteTableSnapshot,
  type RouteTableVersion,
} from "@dinp/core";
import { MemoryAcknowledgements } from "./memory-acknowledgements.js";
import { SortedKeys } from "./sorted-keys.js";
import { WakeUp } from "./wake-up.js";

export interface MemoryRouteTableOptions {
  /** Makes the table's incarnation. */
  readonly random: Pick<Random, "bytes">;
  /** Versions that a watch can go back; a little more may be kept. Default 1,000. */
  readonly historyMax?: number;
}

/**
 * A `RouteTable` in this process's memory: the reference for what every other one does. It begins empty, with an
 * incarnation of its own, at epoch 0 and revision 0. Only an apply that succeeds raises the epoch.
 * Routes come in order of host and path. Each is copied once and frozen; all readers get that same frozen copy.
 */
export function createMemoryRouteTable(options: MemoryRouteTableOptions): RouteTable {
  return new MemoryRouteTable(options);
}

interface Step {
  readonly from: RouteTableVersion;
  readonly event: Extract<RouteTableEvent, { readonly type: "changes" }>;
}

class MemoryRouteTable implements RouteTable {
  readonly #routes = new Map<string, Route>();
  readonly #keys = new SortedKeys();
  readonly #history: Step[] = [];
  readonly #historyMax: number;
  readonly #acknowledgements = new MemoryAcknowledgements();
  readonly #changed = new WakeUp();
  readonly #acknowledged = new WakeUp();
  #version: RouteTableVersion;
  #isClosed = false;

  constructor(options: MemoryRouteTableOptions) {
    this.#historyMax = options.historyMax ?? 1_000;
    if (!Number.isSafeInteger(this.#historyMax) || this.#historyMax < 1) {
      throw new TypeError(`historyMax must be at least 1; got ${String(this.#historyMax)}.`);
    }
    this.#version = copyTableVersion({ incarnation: randomText(options.random, 16), epoch: 0, revision: 0 });
  }

  async snapshot(options: { readonly signal?: AbortSignal } = {}): Promise<RouteTableSnapshot> {
    await this.#enter(options.signal);
    const routes: Route[] = [];
    for (const key of this.#keys.all()) {
      const route = this.#routes.get(key);
      if (route !== undefined) routes.push(route);
    }
    return { version: this.#version, routes };
  }

  async apply(
    changes: readonly RouteChange[],
    options: { readonly epoch: number; readonly ifVersion: RouteTableVersion; readonly signal?: AbortSignal },
  ): Promise<RouteTableVersion> {
    const copies = prepareRouteChanges(changes);
    const { epoch, ifVersion } = options;
    assertTableEpoch(epoch);
    assertTableVersion(ifVersion);
    await this.#enter(options.signal);
    assertTableWritable(this.#version, epoch, ifVersion);
    for (const change of copies) this.#applyOne(change);
    const from = this.#version;
    this.#version = copyTableVersion({ incarnation: from.incarnation, epoch, revision: from.revision + 1 });
    this.#remember({
      from,
      event: Object.freeze({ type: "changes", version: this.#version, changes: copies }),
    });
    this.#changed.notify();
    return this.#version;
  }

  async *watch(options: {
    readonly after: RouteTableVersion;
    readonly signal: AbortSignal;
  }): AsyncGenerator<RouteTableEvent, void> {
    const { signal } = options;
    assertTableVersion(options.after);
    this.#assertOpen();
    let after = options.after;
    while (!signal.aborted && !this.#isClosed) {
      const seen = this.#changed.version;
      if (isSameTableVersion(after, this.#version)) {
        await this.#changed.changedSince(seen, signal);
        continue;
      }
      const step = this.#stepAfter(after);
      if (step === null) {
        yield { type: "reset" };
        return;
      }
      after = step.event.version;
      yield step.event;
    }
  }

  async acknowledge(
    acknowledgement: RouterAcknowledgement,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const copy = prepareAcknowledgement(acknowledgement);
    await this.#enter(options.signal);
    if (this.#acknowledgements.record(copy, this.#version)) this.#acknowledged.notify();
  }

  async acknowledgements(
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly RouterAcknowledgement[]> {
    await this.#enter(options.signal);
    return this.#acknowledgements.all();
  }

  watchAcknowledgements(options: { readonly signal: AbortSignal }): AsyncIterable<void> {
    // Taken now and not at the first `next()`: what changes in between must not be missed.
    return this.#hints(this.#acknowledged.version, options.signal);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#changed.notify();
    this.#acknowledged.notify();
    await Promise.resolve();
  }

  async *#hints(since: number, signal: AbortSignal): AsyncGenerator<void, void> {
    this.#assertOpen();
    let seen = since;
    for (;;) {
      await this.#acknowledged.changedSince(seen, signal);
      if (signal.aborted || this.#isClosed) return;
      seen = this.#acknowledged.version;
      yield;
    }
  }

  #applyOne(change: RouteChange): void {
    if (change.op === "put") {
      const key = routeKey(change.route.host, change.route.path);
      this.#routes.set(key, change.route);
      this.#keys.add(key);
    } else {
      const key = routeKey(change.host, change.path);
      this.#routes.delete(key);
      this.#keys.delete(key);
    }
  }

  #remember(step: Step): void {
    this.#history.push(step);
    // In batches, because dropping one entry moves all others.
    const slack = Math.ceil(this.#historyMax / 10);
    if (this.#history.length > this.#historyMax + slack) this.#history.splice(0, slack);
  }

  #stepAfter(after: RouteTableVersion): Step | null {
    const first = this.#version.revision - this.#history.length;
    const step = this.#history[after.revision - first];
    return step !== undefined && isSameTableVersion(step.from, after) ? step : null;
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    this.#assertUsable(signal);
    await Promise.resolve();
    // Both can have happened meanwhile; from here on nothing waits, so that each call is atomic.
    this.#assertUsable(signal);
  }

  #assertUsable(signal: AbortSignal | undefined): void {
    this.#assertOpen();
    if (signal?.aborted !== true) return;
    throw new DinpError("DINP_ABORTED", "The call was aborted.", { cause: signal.reason });
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new DinpError("DINP_CLOSED", "The route table is closed.");
  }
}
