import type { RouteChange, RouteTableVersion } from "@dinp/core";
import { countOf } from "./answer.js";
import { parseChanges } from "./stored-routes.js";

/** A version, and what led to it. */
export interface Step {
  readonly version: RouteTableVersion;
  readonly changes: readonly RouteChange[];
}

/**
 * An entry of the history (the epoch before, the epoch, the changes) as the step to that revision; frozen.
 * `pattern`: the table's keys, for people. `DINP_CORRUPT` when it is none.
 */
export function stepOf(
  entry: unknown,
  { incarnation, revision }: Pick<RouteTableVersion, "incarnation" | "revision">,
  pattern: string,
): Step & { readonly epochBefore: number } {
  const [, before, epoch, changes = ""] = /^(\d+) (\d+) ([^]*)$/.exec(String(entry)) ?? [];
  return {
    epochBefore: countOf(before, "epoch", pattern),
    version: Object.freeze({ incarnation, epoch: countOf(epoch, "epoch", pattern), revision }),
    changes: parseChanges(changes, pattern),
  };
}
