import {
  DinpError,
  formatTableVersion,
  randomText,
  type Random,
  type Route,
  routeKey,
  type RouteTableVersion,
} from "@dinp/core";
import { countOf, FORMAT, headOf, type TableHead, wordOf } from "./answer.js";
import { corrupt } from "./errors.js";
import { BUCKETS, type TableKeys } from "./keys.js";
import type { RedisLink } from "./link.js";
import { bucketsScript, changesScript, createScript, headScript } from "./scripts.js";
import { type Step, stepOf } from "./step.js";
import { changeRoutes, parseRoutes } from "./stored-routes.js";

/** One reading of buckets has about so many routes, for Redis to be held up no longer than a few milliseconds. */
const ROUTES_PER_READING = 1_000;
/** Readings that are asked for before the first is answered. */
const READINGS_AHEAD = 2;
const STEPS_MAX = 200;
const STEP_CHARS_MAX = 1_048_576;
/** A snapshot is begun anew so often when the table moves away under it. */
const ATTEMPTS_MAX = 10;

/** What came after a version: `steps` (perhaps not all), nothing, or something that cannot be told. */
export type Later =
  | { readonly kind: "steps"; readonly steps: readonly Step[] }
  | { readonly kind: "none"; readonly head: TableHead }
  | { readonly kind: "reset" };

export interface TableReading {
  readonly head: TableHead;
  /** By route key. */
  readonly routes: ReadonlyMap<string, Route>;
}

/** Reads the table in pieces, none of which holds Redis up, and makes one version of them. */
export class TableReader {
  readonly #link: RedisLink;
  readonly #keys: TableKeys;
  readonly #random: Pick<Random, "bytes">;

  constructor(link: RedisLink, keys: TableKeys, random: Pick<Random, "bytes">) {
    this.#link = link;
    this.#keys = keys;
    this.#random = random;
  }

  /** What the table is at; a table that is not there is made: empty, with a new incarnation. */
  async head(signal?: AbortSignal): Promise<TableHead> {
    const { meta, changes, pattern } = this.#keys;
    const found = wordOf(await this.#link.run(headScript, [meta], [], signal));
    if (found.word === "head") return headOf(found.rest, pattern);
    const all = [meta, changes, ...this.#keys.buckets(0), ...this.#keys.buckets(1)];
    const made = await this.#link.run(createScript, all, [randomText(this.#random, 16), FORMAT], signal);
    return headOf(wordOf(made).rest, pattern);
  }

  /** What a script that writes found the table at. It may have lost its past this moment: then it is made. */
  async headIn(answer: unknown): Promise<TableHead> {
    const { word, rest } = wordOf(answer);
    return word === "absent" ? this.head() : headOf(rest, this.#keys.pattern);
  }

  /** The whole table as of one version. */
  async read(signal?: AbortSignal): Promise<TableReading> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const reading = await this.#tryRead(await this.head(signal), signal);
      if (reading !== null) return reading;
    }
    throw new DinpError(
      "DINP_UNAVAILABLE",
      `The route table was replaced ${String(ATTEMPTS_MAX)} times while it was read.`,
      { retryable: true, hint: "See that one platform alone writes to it." },
    );
  }

  async later(after: RouteTableVersion, signal?: AbortSignal): Promise<Later> {
    const { meta, changes, pattern } = this.#keys;
    const args = [after.incarnation, String(after.epoch), String(after.revision)];
    const limits = [String(STEPS_MAX), String(STEP_CHARS_MAX)];
    const { word, rest } = wordOf(
      await this.#link.run(changesScript, [meta, changes], [...args, ...limits], signal),
    );
    if (word === "same") return { kind: "none", head: headOf(rest, pattern) };
    if (word !== "changes") return { kind: "reset" };
    const { incarnation } = after;
    const steps = rest.map((entry, index) =>
      stepOf(entry, { incarnation, revision: after.revision + index + 1 }, pattern),
    );
    return { kind: "steps", steps };
  }

  /**
   * The buckets are read one after the other while the table goes on changing; the changes since make them one version.
   * Null when that cannot be: the table was replaced, or a piece is of a past that was lost since.
   */
  async #tryRead(head: TableHead, signal: AbortSignal | undefined): Promise<TableReading | null> {
    const routes = new Map<string, Route>();
    const seen = await this.#readBuckets(head, routes, signal);
    if (seen === null) return null;
    const known = new Set([formatTableVersion(head.version)]);
    let { version } = head;
    for (;;) {
      const later = await this.later(version, signal);
      if (later.kind === "reset") return null;
      if (later.kind === "none") {
        if (seen.some((each) => !known.has(formatTableVersion(each)))) return null;
        this.#assertWhole(routes.size, later.head.count);
        return { head: later.head, routes };
      }
      for (const step of later.steps) {
        version = step.version;
        known.add(formatTableVersion(version));
        changeRoutes(routes, step.changes);
      }
    }
  }

  /** Fills in what the buckets have, and gives the versions that they were seen at; null when they moved away. */
  async #readBuckets(
    head: TableHead,
    routes: Map<string, Route>,
    signal: AbortSignal | undefined,
  ): Promise<readonly RouteTableVersion[] | null> {
    const size = Math.max(1, Math.floor((BUCKETS * ROUTES_PER_READING) / Math.max(1, head.count)));
    const starts = Array.from({ length: Math.ceil(BUCKETS / size) }, (_, index) => index * size);
    const answers: Promise<unknown>[] = [];
    const seen: RouteTableVersion[] = [];
    for (const [index] of starts.entries()) {
      for (const from of starts.slice(answers.length, index + READINGS_AHEAD)) {
        answers.push(this.#askBuckets(head, from, Math.min(BUCKETS, from + size), signal));
      }
      const { word, rest } = wordOf(await answers[index]);
      if (word !== "routes") return null;
      const [epoch, revision, ...values] = rest;
      seen.push({
        incarnation: head.version.incarnation,
        epoch: countOf(epoch, "epoch", this.#keys.pattern),
        revision: countOf(revision, "revision", this.#keys.pattern),
      });
      for (const route of parseRoutes(values.flat(), this.#keys.pattern)) {
        routes.set(routeKey(route.host, route.path), route);
      }
    }
    return seen;
  }

  #askBuckets(
    { version, generation }: TableHead,
    from: number,
    to: number,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const keys = [this.#keys.meta, ...this.#keys.buckets(generation, from, to)];
    const answer = this.#link.run(bucketsScript, keys, [version.incarnation, String(generation)], signal);
    // It is asked ahead: should an earlier one fail, nobody waits for it.
    answer.catch(() => undefined);
    return answer;
  }

  /** Redis may have evicted some, or someone deleted them. */
  #assertWhole(found: number, count: number): void {
    if (found === count) return;
    throw corrupt(`${String(count)} routes must be there, and ${String(found)} are.`, this.#keys.pattern);
  }
}
