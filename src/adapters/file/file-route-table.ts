import { resolve } from "node:path";
import {
  assertTableEpoch,
  assertTableVersion,
  assertTableWritable,
  compareRoutes,
  diffRoutes,
  DinpError,
  messageOf,
  prepareRouteChanges,
  routeKey,
  type Logger,
  type Route,
  type RouteChange,
  type RouterAcknowledgement,
  type RouteTable,
  type RouteTableEvent,
  type RouteTableSnapshot,
  type RouteTableVersion,
} from "@dinp/core";
import { EditReader, type Problem } from "./edit-reader.js";
import { startFolderHints } from "./folder-hints.js";
import { formatTable } from "./format-table.js";
import type { FileTable } from "./parse-table.js";
import { readTable } from "./read-table.js";
import { TableFile } from "./table-file.js";

export interface FileRouteTableOptions {
  /** The file that people edit; it must be there when the table is opened. */
  readonly path: string;
  /** An empty table of its own (the memory adapter's, for example) that keeps versions, watches and acknowledgements. */
  readonly versions: RouteTable;
  readonly logger: Logger;
  /** How often the file is looked at besides the hints of the operating system. Default 2,000. */
  readonly pollMs?: number;
  /** How long a file that cannot be used may go on changing before it counts as a bad edit. Default 100. */
  readonly settleMs?: number;
}

/** A route table that is kept in a file. */
export interface FileRouteTable extends RouteTable {
  /**
   * Reads the file and begins to watch it. Must be called once, before all else. `DINP_NOT_FOUND`, `DINP_INVALID`,
   * `DINP_TOO_LARGE`, `DINP_UNAVAILABLE`: there is no table to begin with; the message says why, key by key.
   */
  open(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Reads the file now; what it says is in the table, or `problem()` says why not, when this resolves. */
  reread(): Promise<void>;
  /** Why the file as it is now is not the table that is served; null while it is. */
  problem(): string | null;
}

/**
 * A `RouteTable` in a JSON file: every good edit of the file is one new version with what differs as its changes; after a
 * bad edit, or without the file, the last good table stays and `problem()` and the log say why. `apply` replaces the
 * file atomically and durably before readers see the new version; it waits for edits that are under way, and is refused
 * with `DINP_UNAVAILABLE` while a bad edit is in the file, which it would overwrite.
 *
 * The epoch is kept in the file, the incarnation and the acknowledgements live in this process only: routers of other
 * processes that watch the same file keep tables of their own. One process applies; any number may read.
 */
export function createFileRouteTable(options: FileRouteTableOptions): FileRouteTable {
  return new TableInFile(options);
}

/** Hints that come within this long are one. */
const HINT_DELAY_MS = 20;

class TableInFile implements FileRouteTable {
  readonly #file: TableFile;
  readonly #edits: EditReader;
  readonly #versions: RouteTable;
  readonly #logger: Logger;
  readonly #pollMs: number;
  #phase: "new" | "opening" | "open" | "closed" = "new";
  #turns: Promise<unknown> = Promise.resolve();
  #stopHints: () => void = () => undefined;
  #hintTimer: NodeJS.Timeout | null = null;
  /** A look at the file waits for its turn. */
  #isLookDue = false;
  #mustRead = false;
  /** The hash of the text that is served. */
  #served = "";
  #problem: Problem | null = null;

  constructor(options: FileRouteTableOptions) {
    this.#file = new TableFile(resolve(options.path));
    this.#versions = options.versions;
    this.#logger = options.logger;
    this.#pollMs = options.pollMs ?? 2_000;
    this.#edits = new EditReader(this.#file, options.settleMs ?? 100);
  }

  async open(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#phase === "closed") throw closedError();
    if (this.#phase !== "new") throw new TypeError("The route table is already open.");
    assertNotAborted(options.signal);
    this.#phase = "opening";
    try {
      const { table, hash } = await readTable(this.#file);
      await this.#serve(table, hash);
    } catch (error) {
      if (!this.#isClosed()) this.#phase = "new";
      throw error;
    }
    this.#assertNotClosed();
    this.#phase = "open";
    this.#stopHints = startFolderHints({
      folder: this.#file.folder,
      name: this.#file.name,
      pollMs: this.#pollMs,
      onHint: (hint) => {
        this.#hint(hint);
      },
      onBlind: (reason) => {
        this.#logger.warn("the folder of the route file cannot be watched; it is polled", { reason });
      },
    });
    // What changed between the reading and the watching.
    this.#hint("changed");
  }

  async snapshot(options?: { readonly signal?: AbortSignal }): Promise<RouteTableSnapshot> {
    this.#assertOpen();
    return this.#versions.snapshot(options);
  }

  async apply(
    changes: readonly RouteChange[],
    options: { readonly epoch: number; readonly ifVersion: RouteTableVersion; readonly signal?: AbortSignal },
  ): Promise<RouteTableVersion> {
    const prepared = prepareRouteChanges(changes);
    const { epoch, signal } = options;
    const ifVersion = { ...options.ifVersion };
    assertTableEpoch(epoch);
    assertTableVersion(ifVersion);
    this.#assertOpen();
    return this.#inTurn(async () => {
      assertNotAborted(signal);
      await this.#look();
      this.#assertOpen();
      this.#assertReplaceable();
      const { version, routes } = await this.#versions.snapshot();
      assertTableWritable(version, epoch, ifVersion);
      assertNotAborted(signal);
      const text = formatTable({ epoch, routes: changed(routes, prepared) });
      // The file first: what readers have seen must outlive this process.
      this.#served = await this.#file.replace(text);
      this.#problem = null;
      return this.#versions.apply(prepared, { epoch, ifVersion: version });
    });
  }

  watch(options: {
    readonly after: RouteTableVersion;
    readonly signal: AbortSignal;
  }): AsyncIterable<RouteTableEvent> {
    this.#assertBegun();
    return this.#versions.watch(options);
  }

  async acknowledge(
    acknowledgement: RouterAcknowledgement,
    options?: { readonly signal?: AbortSignal },
  ): Promise<void> {
    this.#assertOpen();
    return this.#versions.acknowledge(acknowledgement, options);
  }

  async acknowledgements(options?: {
    readonly signal?: AbortSignal;
  }): Promise<readonly RouterAcknowledgement[]> {
    this.#assertOpen();
    return this.#versions.acknowledgements(options);
  }

  watchAcknowledgements(options: { readonly signal: AbortSignal }): AsyncIterable<void> {
    this.#assertBegun();
    return this.#versions.watchAcknowledgements(options);
  }

  async reread(): Promise<void> {
    this.#assertOpen();
    await this.#inTurn(() => this.#look());
  }

  problem(): string | null {
    return this.#problem === null ? null : this.#problem.error.message;
  }

  async close(): Promise<void> {
    this.#phase = "closed";
    this.#stopHints();
    if (this.#hintTimer !== null) clearTimeout(this.#hintTimer);
    await this.#turns;
    await this.#versions.close();
  }

  /** A first hint is followed soon, and those until its look begins with it: a storm of them costs a few readings. */
  #hint(hint: "changed" | "maybe"): void {
    this.#mustRead ||= hint === "changed";
    if (this.#isLookDue || this.#phase !== "open") return;
    this.#isLookDue = true;
    this.#hintTimer = setTimeout(() => {
      void this.#inTurn(() => this.#followHints()).catch((error: unknown) => {
        this.#logger.error("the route file could not be looked at", { error: messageOf(error) });
      });
    }, HINT_DELAY_MS);
    this.#hintTimer.unref();
  }

  async #followHints(): Promise<void> {
    const mustRead = this.#mustRead;
    this.#mustRead = false;
    this.#isLookDue = false;
    if (!mustRead && (await this.#edits.isUnchanged())) return;
    if (this.#phase === "open") await this.#look();
  }

  /** Takes over what the file says. Never rejects because of what is in it. */
  async #look(): Promise<void> {
    const reading = await this.#edits.read(this.#served, this.#problem, () => this.#phase === "open");
    switch (reading.kind) {
      case "same problem":
        return;
      case "problem":
        this.#problem = reading.problem;
        this.#logger.warn("the route file cannot be used; the last good table is served", {
          file: this.#file.path,
          problem: reading.problem.error.message,
        });
        return;
      case "table":
        await this.#serve(reading.table, reading.hash);
        this.#recovered();
        return;
      case "served":
        this.#recovered();
    }
  }

  async #serve(table: FileTable, hash: string): Promise<void> {
    const { version, routes } = await this.#versions.snapshot();
    const changes = diffRoutes(routes, table.routes);
    const epoch = Math.max(version.epoch, table.epoch);
    if (changes.length > 0 || epoch > version.epoch) {
      const next = await this.#versions.apply(changes, { epoch, ifVersion: version });
      this.#logger.info("the routes of the file are served", {
        file: this.#file.path,
        routes: table.routes.length,
        changes: changes.length,
        revision: next.revision,
      });
    }
    this.#served = hash;
  }

  #recovered(): void {
    if (this.#problem === null) return;
    this.#problem = null;
    this.#logger.info("the route file can be used again", { file: this.#file.path });
  }

  #assertReplaceable(): void {
    if (this.#problem === null || this.#problem.error.code === "DINP_NOT_FOUND") return;
    throw new DinpError(
      "DINP_UNAVAILABLE",
      `The route file ${this.#file.path} has an edit that cannot be used, and is not written over: ${this.#problem.error.message}.`,
      { retryable: true, hint: "Mend the file, or delete it to have it written anew." },
    );
  }

  /** One after the other: applies and edits must not overtake each other. */
  #inTurn<T>(body: () => Promise<T>): Promise<T> {
    const mine = this.#turns.then(body);
    this.#turns = mine.catch(() => undefined);
    return mine;
  }

  #assertOpen(): void {
    this.#assertBegun();
    this.#assertNotClosed();
  }

  #assertBegun(): void {
    if (this.#phase === "new" || this.#phase === "opening")
      throw new TypeError("Call open() before anything else.");
  }

  #assertNotClosed(): void {
    if (this.#isClosed()) throw closedError();
  }

  #isClosed(): boolean {
    return this.#phase === "closed";
  }
}

function changed(routes: readonly Route[], changes: readonly RouteChange[]): readonly Route[] {
  const next = new Map(routes.map((route) => [routeKey(route.host, route.path), route]));
  for (const change of changes) {
    if (change.op === "put") next.set(routeKey(change.route.host, change.route.path), change.route);
    else next.delete(routeKey(change.host, change.path));
  }
  return [...next.values()].sort(compareRoutes);
}

function assertNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new DinpError("DINP_ABORTED", "The call was aborted.", { cause: signal.reason });
}

function closedError(): DinpError {
  return new DinpError("DINP_CLOSED", "The route table is closed.");
}
