import { readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { cgroupsIn, cgroupProcesses, mountsBelow, unmount } from "./docker-traces.mjs";
import { killPids, processes } from "./owned-process.mjs";

const MAKING_MS_MAX = 60_000;
const LOOK_EVERY_MS = 20;

/**
 * Ends what an engine was starting when it was killed, and knows nothing of afterwards: the processes go on, and their
 * addresses are given away again. Then two answer to one address, and to the hardware address that Docker derives from it.
 *
 * @param {{ readonly run: string, readonly cgroup: string, readonly data: string }} engine One that does not run.
 */
export async function endLostStarts({ run, cgroup, data }) {
  const until = performance.now() + MAKING_MS_MAX;
  while (isContainerBeingMade(run)) {
    if (performance.now() > until) throw new Error(`A container below ${run} is still being made.`);
    await setTimeout(LOOK_EVERY_MS);
  }
  const containers = cgroupsIn(cgroup).filter((name) => /^[0-9a-f]{64}$/.test(name));
  const lost = containers.filter((id) => !isKnownToRun(data, id));
  await killPids(lost.flatMap((id) => cgroupProcesses(join(cgroup, id))));
  await removeDesertedNetworks(join(run, "engine/netns"));
}

/** Whether a container is being made below a folder of an engine. @param {string} run */
function isContainerBeingMade(run) {
  return processes()
    .map(({ pid }) => read(() => readFileSync(`/proc/${pid}/cmdline`, "utf8")).split("\0"))
    .some(
      ([command = "", ...args]) =>
        command.endsWith("runc") && args.includes("create") && args.some((arg) => arg.startsWith(`${run}/`)),
    );
}

/** Whether an engine's records say that a container of it runs. @param {string} data @param {string} id */
function isKnownToRun(data, id) {
  const record = read(() => readFileSync(join(data, "containers", id, "config.v2.json"), "utf8"));
  return record !== "" && JSON.parse(record).State.Running === true;
}

/** Removes network namespaces that no process is in, and their ends on bridges. @param {string} folder The one that they are kept in. */
async function removeDesertedNetworks(folder) {
  const inhabited = new Set(processes().map(({ pid }) => read(() => readlinkSync(`/proc/${pid}/ns/net`))));
  const deserted = mountsBelow(folder).filter(({ root }) => root.startsWith("net:[") && !inhabited.has(root));
  for (const { point } of deserted) {
    await unmount(point);
    rmSync(point, { force: true });
  }
}

/** Empty when what is read of is gone. @param {() => string} get */
function read(get) {
  try {
    return get();
  } catch {
    return "";
  }
}
