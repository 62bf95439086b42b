import { DinpError } from "@dinp/core";

/** A held folder. */
export interface FolderLock {
  /** Idempotent. */
  release(): Promise<void>;
}

export function lockedError(folder: string, pid: number | null): DinpError {
  const holder =
    pid === null ? "another process" : pid === process.pid ? "this very process" : `process ${String(pid)}`;
  return new DinpError("DINP_LOCKED", `The data folder ${folder} is in use by ${holder}.`, {
    hint:
      pid === process.pid
        ? "Close the store that has it open first."
        : "Stop that process first, or choose another data folder.",
    details: pid === null ? { folder } : { folder, pid },
  });
}
