import { DinpError, type Clock } from "@dinp/core";
import type { MemoryCgroup } from "./cgroup.js";

/** How often it is looked whether processes are gone. */
export const POLL_MS = 20;
/** How long killed processes may take to be gone; the kernel may hold one in a system call. */
export const KILL_WAIT_MS = 10_000;
/** How often a cgroup is tried to be removed, {@link POLL_MS} apart. */
const CGROUP_TRIES_MAX = 50;

/** Removes the cgroup of processes that are gone: each leaves it a moment after it is seen as gone. Gives up in the end. */
export async function removeSoon(cgroup: MemoryCgroup, clock: Clock, signal?: AbortSignal): Promise<void> {
  for (let tries = 0; !cgroup.tryRemove() && tries < CGROUP_TRIES_MAX; tries += 1)
    await clock.sleep(POLL_MS, signal === undefined ? {} : { signal });
}

/** The error for processes that are there still after {@link KILL_WAIT_MS}. */
export function unending(owner: string): DinpError {
  return new DinpError("DINP_UNAVAILABLE", `Processes of ${owner} do not end.`, {
    retryable: true,
    hint: "The kernel may hold them in a system call; look at the machine's disks and network file systems.",
  });
}
