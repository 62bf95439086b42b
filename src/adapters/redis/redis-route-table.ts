import {
  assertTableEpoch,
  assertTableVersion,
  compareRoutes,
  copyTableVersion,
  prepareAcknowledgement,
  prepareRouteChanges,
  type RouteChange,
  type RouterAcknowledgement,
  type RouteTable,
  type RouteTableEvent,
  type RouteTableSnapshot,
  type RouteTableVersion,
} from "@dinp/core";
import { Acknowledgements } from "./acknowledgements.js";
import { abortedError, closedError } from "./errors.js";
import { Hints } from "./hints.js";
import { TableKeys } from "./keys.js";
import { RedisLink } from "./link.js";
import { type RedisRouteTableOptions, type Settings, settingsOf } from "./options.js";
import { patiently, Pauses } from "./pauses.js";
import { TableFeed } from "./table-feed.js";
import { TableReader } from "./table-reader.js";
import { TableWriter } from "./table-writer.js";

/**
 * A `RouteTable` in Redis 6.0 or later, or Valkey: one server, one behind Sentinel, or a Redis Cluster. Nothing is
 * connected before the first call; `docs/redis.md` says what is stored.
 *
 * - A table that is not there, because it never was or because Redis lost it, begins empty at revision 0, with a new
 *   incarnation. When Redis lost only the newest of what this object wrote, the table gets another incarnation with its
 *   next apply, and until then `snapshot` says revision 0 of that, with the routes that are left. For this, each
 *   epoch must be written by one object only.
 * - More than 2,000 changes in one apply (or 1 MiB of them) make a watch of what was before `reset`.
 * - A watch outlives outages of Redis: it goes on where it was, or resets.
 * - Once an apply was sent, its signal does not end it.
 *
 * Errors besides the port's: `DINP_CORRUPT` when what is stored is no table, or not the whole of it;
 * `DINP_DRIVER_MISSING` without the package `ioredis`; `TypeError` at once for options that cannot be meant.
 */
export function createRedisRouteTable(options: RedisRouteTableOptions): RouteTable {
  return new RedisRouteTable(settingsOf(options));
}

class RedisRouteTable implements RouteTable {
  readonly #settings: Settings;
  readonly #link: RedisLink;
  readonly #reader: TableReader;
  readonly #writer: TableWriter;
  readonly #acknowledgements: Acknowledgements;
  readonly #feed: TableFeed;
  readonly #acknowledged: Hints;
  readonly #closing = new AbortController();

  constructor(settings: Settings) {
    const keys = new TableKeys(settings.cluster);
    this.#settings = settings;
    this.#link = new RedisLink(settings, keys.pattern);
    this.#reader = new TableReader(this.#link, keys, settings.random);
    this.#writer = new TableWriter(this.#link, keys, this.#reader, settings);
    this.#acknowledgements = new Acknowledgements(this.#link, keys);
    this.#feed = new TableFeed(settings, keys, this.#reader);
    this.#acknowledged = new Hints(settings, { channel: keys.acknowledged, name: "acknowledgements" });
  }

  async snapshot(options: { readonly signal?: AbortSignal } = {}): Promise<RouteTableSnapshot> {
    this.#assertUsable(options.signal);
    const versionAt = this.#writer.beginReading();
    const { head, routes } = await this.#reader.read(options.signal);
    return { version: versionAt(head), routes: [...routes.values()].sort(compareRoutes) };
  }

  async apply(
    changes: readonly RouteChange[],
    options: { readonly epoch: number; readonly ifVersion: RouteTableVersion; readonly signal?: AbortSignal },
  ): Promise<RouteTableVersion> {
    const copies = prepareRouteChanges(changes);
    const { epoch, signal } = options;
    assertTableEpoch(epoch);
    assertTableVersion(options.ifVersion);
    this.#assertUsable(signal);
    const ifVersion = copyTableVersion(options.ifVersion);
    return this.#writer.apply(copies, { epoch, ifVersion, ...(signal === undefined ? {} : { signal }) });
  }

  async *watch(options: {
    readonly after: RouteTableVersion;
    readonly signal: AbortSignal;
  }): AsyncGenerator<RouteTableEvent, void> {
    assertTableVersion(options.after);
    this.#assertOpen();
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    if (signal.aborted) return;
    yield* this.#feed.watch(copyTableVersion(options.after), signal);
  }

  async acknowledge(
    acknowledgement: RouterAcknowledgement,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const copy = prepareAcknowledgement(acknowledgement);
    this.#assertUsable(options.signal);
    await this.#acknowledgements.record(copy, options.signal);
  }

  async acknowledgements(
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly RouterAcknowledgement[]> {
    this.#assertUsable(options.signal);
    return this.#acknowledgements.all(options.signal);
  }

  async *watchAcknowledgements(options: { readonly signal: AbortSignal }): AsyncGenerator<void, void> {
    this.#assertOpen();
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    if (signal.aborted) return;
    const stopListening = this.#acknowledged.listen();
    try {
      yield* this.#acknowledgementHints(signal);
    } finally {
      stopListening();
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#link.close();
    await Promise.all([this.#feed.close(), this.#acknowledged.close()]);
  }

  /** What is told is looked up: so nothing is told twice, and what was not told is seen at the next look. */
  async *#acknowledgementHints(signal: AbortSignal): AsyncGenerator<void, void> {
    const pauses = new Pauses();
    let known: unknown = null;
    while (!signal.aborted) {
      const { version: seen } = this.#acknowledged.told;
      const changes = await patiently(() => this.#acknowledgements.changes(signal), pauses, signal);
      if (changes !== undefined && changes !== known) {
        known = changes;
        yield;
      } else await this.#acknowledged.told.changedSince(seen, signal, this.#settings.pollMs);
    }
  }

  #assertUsable(signal: AbortSignal | undefined): void {
    this.#assertOpen();
    if (signal?.aborted === true) throw abortedError(signal);
  }

  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw closedError();
  }
}
