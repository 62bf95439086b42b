import {
  assertTableWritable,
  DinpError,
  isSameTableVersion,
  randomText,
  type Route,
  type RouteChange,
  routeKey,
  type RouteTableVersion,
} from "@dinp/core";
import type { TableHead } from "./answer.js";
import { abortedError, isUnanswered } from "./errors.js";
import { bucketOf, type TableKeys } from "./keys.js";
import type { RedisLink, Script } from "./link.js";
import type { Settings } from "./options.js";
import { OwnPast } from "./own-past.js";
import { applyScript, swapScript } from "./scripts.js";
import { stageTable } from "./stage-table.js";
import { changeRoutes, formatChanges, formatRoute } from "./stored-routes.js";
import type { TableReader } from "./table-reader.js";
import { checkArgs, versionAfter, type Write } from "./write.js";

/** One script applies no more than this, or it would hold Redis up; more is staged beside the present table. */
const CHANGES_AT_ONCE_MAX = 2_000;
const CHARS_AT_ONCE_MAX = 1_048_576;

/** A table that lost its past, until it is written: for this process it is a version of its own. */
interface Renewal {
  readonly version: RouteTableVersion;
  readonly base: TableHead;
}

/** Writes the table, one apply after the other. */
export class TableWriter {
  readonly #link: RedisLink;
  readonly #keys: TableKeys;
  readonly #reader: TableReader;
  readonly #settings: Settings;
  #past = new OwnPast();
  #renewal: Renewal | null = null;
  /** What the table was last seen at by an apply. */
  #head: TableHead | null = null;
  #turns: Promise<unknown> = Promise.resolve();

  constructor(link: RedisLink, keys: TableKeys, reader: TableReader, settings: Settings) {
    this.#link = link;
    this.#keys = keys;
    this.#reader = reader;
    this.#settings = settings;
  }

  /**
   * To be called before the table is read; gives the version that it then has for this process: its own; or, when
   * something that this process wrote is lost, revision 0 of a new incarnation, which the next apply begins.
   */
  beginReading(): (head: TableHead) => RouteTableVersion {
    const past = this.#past;
    return (head) => {
      const settled = past.settledBy(head);
      if (settled !== null && this.#past === past) this.#past = past.with(settled);
      return past.isLostAt(head) ? this.#renewalOf(head).version : head.version;
    };
  }

  /** `changes` are frozen copies. Once it was sent, the signal no longer ends it. */
  apply(
    changes: readonly RouteChange[],
    options: { readonly epoch: number; readonly ifVersion: RouteTableVersion; readonly signal?: AbortSignal },
  ): Promise<RouteTableVersion> {
    const mine = this.#turns.then(() => this.#applyInTurn(changes, options));
    this.#turns = mine.catch(() => undefined);
    return mine;
  }

  async #applyInTurn(
    changes: readonly RouteChange[],
    options: { readonly epoch: number; readonly ifVersion: RouteTableVersion; readonly signal?: AbortSignal },
  ): Promise<RouteTableVersion> {
    const { epoch, ifVersion, signal } = options;
    const versionAt = this.beginReading();
    const base = this.#knownHead(ifVersion) ?? (await this.#reader.head(signal));
    const version = versionAt(base);
    assertWritable(base, version, epoch, ifVersion);
    const stamp = randomText(this.#settings.random, 16);
    const write: Write = { base, epoch, incarnation: version.incarnation, stamp };
    const text = formatChanges(changes);
    const head =
      changes.length <= CHANGES_AT_ONCE_MAX && text.length <= CHARS_AT_ONCE_MAX
        ? await this.#change(write, changes, text, signal)
        : await this.#replace(write, changes, signal);
    this.#head = head;
    if (head.stamp === stamp) return head.version;
    assertWritable(head, this.beginReading()(head), epoch, ifVersion);
    // The table is where it was, but what was staged for it is not.
    throw new DinpError("DINP_ROUTE_VERSION", "Another apply took the place where this one was prepared.", {
      hint: "Read the table again; see that one platform alone writes to it.",
    });
  }

  /** The head need not be asked for: the script sees whether it is still that. Not while something is in doubt. */
  #knownHead(ifVersion: RouteTableVersion): TableHead | null {
    const head = this.#head;
    if (head === null || !isSameTableVersion(head.version, ifVersion)) return null;
    return this.#past.isInDoubt(ifVersion.incarnation) ? null : head;
  }

  async #change(
    write: Write,
    changes: readonly RouteChange[],
    text: string,
    signal: AbortSignal | undefined,
  ): Promise<TableHead> {
    const { historyMax, historyCharsMax } = this.#settings;
    const keys = [this.#keys.meta, this.#keys.changes];
    const fields = changes.flatMap((change) => {
      const { host, path } = change.op === "put" ? change.route : change;
      const field = routeKey(host, path);
      const bucket = this.#keys.bucket(write.base.generation, bucketOf(field));
      const found = keys.indexOf(bucket);
      const place = found === -1 ? keys.push(bucket) : found + 1;
      return [String(place), field, change.op === "put" ? formatRoute(change.route) : ""];
    });
    const limits = [String(historyMax), String(historyCharsMax)];
    return this.#commit(write, applyScript, keys, [...limits, this.#keys.changed, text, ...fields], signal);
  }

  /** The whole table is staged where no reader looks, and then takes the place of the present one. */
  async #replace(
    write: Write,
    changes: readonly RouteChange[],
    signal: AbortSignal | undefined,
  ): Promise<TableHead> {
    const { head, routes } = await this.#reader.read(signal);
    if (!isSameTableVersion(head.version, write.base.version)) return head;
    const next = new Map<string, Route>(routes);
    changeRoutes(next, changes);
    const refused = await stageTable(
      { link: this.#link, keys: this.#keys, reader: this.#reader },
      write,
      next,
      signal,
    );
    if (refused !== null) return refused;
    const { meta, changes: log, changed } = this.#keys;
    const { generation } = write.base;
    const keys = [meta, log, ...this.#keys.buckets(generation + 1), ...this.#keys.buckets(generation)];
    return this.#commit(write, swapScript, keys, [String(next.size), changed], signal);
  }

  async #commit(
    write: Write,
    script: Script,
    keys: readonly string[],
    args: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<TableHead> {
    await this.#link.ready(signal);
    if (signal?.aborted === true) throw abortedError(signal);
    try {
      const all = [...checkArgs(write), write.incarnation, ...args];
      const head = await this.#reader.headIn(await this.#link.run(script, keys, all));
      if (head.stamp === write.stamp) this.#wrote(write, head.version, true);
      return head;
    } catch (error) {
      this.#head = null;
      if (isUnanswered(error)) this.#wrote(write, versionAfter(write), false);
      throw error;
    }
  }

  #wrote({ stamp }: Write, version: RouteTableVersion, isCertain: boolean): void {
    this.#past = this.#past.with({ version, stamp, isCertain });
    // Its incarnation is begun, or may be: another one is due the next time.
    this.#renewal = null;
  }

  #renewalOf(base: TableHead): Renewal {
    const known = this.#renewal;
    if (
      known !== null &&
      isSameTableVersion(known.base.version, base.version) &&
      known.base.stamp === base.stamp
    ) {
      return known;
    }
    const incarnation = randomText(this.#settings.random, 16);
    this.#renewal = { version: Object.freeze({ incarnation, epoch: 0, revision: 0 }), base };
    return this.#renewal;
  }
}

/** `version`: the base's own, or the one that it has for a writer whose past it has lost. */
function assertWritable(
  base: TableHead,
  version: RouteTableVersion,
  epoch: number,
  ifVersion: RouteTableVersion,
): void {
  assertTableWritable(base.version, epoch, base.version);
  assertTableWritable(version, epoch, ifVersion);
}
