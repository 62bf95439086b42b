import type { RouteTableVersion } from "@dinp/core";
import { corrupt, shown } from "./errors.js";

/** Of what is stored; a table of another format is not touched. */
export const FORMAT = "1";

/** What the table is at. */
export interface TableHead {
  readonly version: RouteTableVersion;
  /** Which of the two places the routes are in, and how often it changed. */
  readonly generation: number;
  /** How many routes there are. */
  readonly count: number;
  /** The mark of the apply that led here; empty when there was none. */
  readonly stamp: string;
}

/** The first word of an answer, and all after it. */
export function wordOf(answer: unknown): { readonly word: string; readonly rest: readonly unknown[] } {
  if (Array.isArray(answer) && typeof answer[0] === "string")
    return { word: answer[0], rest: answer.slice(1) };
  throw new TypeError(`A script gave an answer of another shape: ${JSON.stringify(answer).slice(0, 200)}`);
}

/** `pattern`: the table's keys, for people. `DINP_CORRUPT` when it is no head. */
export function headOf(rest: readonly unknown[], pattern: string): TableHead {
  const [incarnation, epoch, revision, generation, count, stamp, format] = rest;
  if (format !== FORMAT) {
    throw corrupt(`its format is ${shown(format)}, and this program knows format ${FORMAT}.`, pattern);
  }
  if (typeof incarnation !== "string" || incarnation === "") throw corrupt("it has no incarnation.", pattern);
  return {
    version: Object.freeze({
      incarnation,
      epoch: countOf(epoch, "epoch", pattern),
      revision: countOf(revision, "revision", pattern),
    }),
    generation: countOf(generation, "generation", pattern),
    count: countOf(count, "count", pattern),
    stamp: typeof stamp === "string" ? stamp : "",
  };
}

/** A whole number as Redis stores it. */
export function countOf(value: unknown, name: string, pattern: string): number {
  if (typeof value === "string" && /^\d{1,16}$/.test(value)) {
    const count = Number(value);
    if (Number.isSafeInteger(count)) return count;
  }
  throw corrupt(`its ${name} is ${shown(value)}.`, pattern);
}
