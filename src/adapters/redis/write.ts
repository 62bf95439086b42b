import type { RouteTableVersion } from "@dinp/core";
import type { TableHead } from "./answer.js";

/** One apply on its way. */
export interface Write {
  /** Where the table must be. */
  readonly base: TableHead;
  readonly epoch: number;
  /** The base's; or the next one, when the table has lost its past. */
  readonly incarnation: string;
  /** Marks what this apply makes. */
  readonly stamp: string;
}

/** The first arguments of every script that writes on top of a version. */
export function checkArgs({ base, epoch, stamp }: Write): readonly string[] {
  const { incarnation, epoch: baseEpoch, revision } = base.version;
  return [incarnation, String(baseEpoch), String(revision), String(epoch), stamp, String(base.generation)];
}

/** What the write makes. */
export function versionAfter({ base, incarnation, epoch }: Write): RouteTableVersion {
  const isRenewed = incarnation !== base.version.incarnation;
  return Object.freeze({ incarnation, epoch, revision: isRenewed ? 1 : base.version.revision + 1 });
}
