import { statSync } from "node:fs";
import { join } from "node:path";
import { DinpError, messageOf } from "@dinp/core";
import type { InstanceFacts } from "./instance-facts.js";
import { EXIT_TAIL_CHARACTERS, EXIT_TAIL_LINES } from "../runtime/log-tail.js";
import { Instance } from "./instance.js";
import { listInstanceFolders, removeInstanceFolder } from "./instance-folders.js";
import type { ProcessEntry } from "./process-table.js";
import { writeExit } from "./records.js";
import { recoverInstance, type Recovered } from "./recovery.js";
import { recordProcess, type StartContext } from "./start.js";

/**
 * The instances that earlier runs left in the folder: running ones are adopted, ended ones are told of, and what the first process
 * of an ended one left behind is ended too. `DINP_UNAVAILABLE` when one cannot be read, so that none is ever overlooked.
 */
export async function restoreInstances(
  context: StartContext,
  instancesDir: string,
): Promise<ReadonlyMap<string, Instance>> {
  const instances = new Map<string, Instance>();
  const entries = await context.instance.table.scan();
  for (const instanceId of await listInstanceFolders(instancesDir)) {
    try {
      const instance = await restoreInstance(context, instancesDir, instanceId, entries);
      if (instance !== null) instances.set(instanceId, instance);
    } catch (error) {
      throw new DinpError(
        "DINP_UNAVAILABLE",
        `Cannot tell what became of instance ${instanceId}: ${messageOf(error)}`,
        { retryable: true, cause: error, hint: `Look at ${join(instancesDir, instanceId)}.` },
      );
    }
  }
  context.cgroups?.removeLeftovers(new Set(instances.keys()));
  return instances;
}

async function restoreInstance(
  context: StartContext,
  instancesDir: string,
  instanceId: string,
  entries: readonly ProcessEntry[],
): Promise<Instance | null> {
  const { bootId, uidOf } = context;
  const dir = join(instancesDir, instanceId);
  const owner = { clusterId: context.instance.clusterId, instanceId };
  const isOwnUser = (pid: number, port: number): boolean => isUser(pid, uidOf(port));
  const found = await recoverInstance(dir, owner, { bootId, entries, isOwnUser });
  if (found.kind === "nothing") {
    await removeInstanceFolder(instancesDir, instanceId);
    return null;
  }
  const facts = factsOf(context, found, instanceId, dir);
  if (found.kind === "running") {
    const { pid, startTime } = found.leader;
    const adopted = new Instance(context.instance, facts, null);
    adopted.run({ pid, startTime }, null);
    const { image } = facts;
    if (image !== null) await recordProcess(facts, image, { pid, startTime, bootId });
    return adopted;
  }
  const exit =
    found.kind === "exited"
      ? found.exit
      : ({
          at: context.instance.clock.now(),
          cause: "unknown",
          code: null,
          signal: null,
          message: found.why,
          logTail: facts.log.tail(EXIT_TAIL_LINES, EXIT_TAIL_CHARACTERS),
        } as const);
  const ended = new Instance(context.instance, facts, exit);
  if (found.kind === "lost") await writeExit(dir, exit);
  await ended.sweep();
  return ended;
}

function factsOf(
  context: StartContext,
  found: Exclude<Recovered, { kind: "nothing" }>,
  instanceId: string,
  dir: string,
): InstanceFacts {
  const { appId, releaseId, image, port, memoryMb, startedAt, cgroup } = found.record;
  return {
    instanceId,
    appId,
    releaseId,
    image,
    port,
    uid: port === 0 ? null : context.uidOf(port),
    memoryMb,
    startedAt,
    dir,
    log: context.logIn(dir),
    cgroup: context.cgroups?.find(instanceId, cgroup) ?? null,
  };
}

/** True when the process runs as the user that an instance has, null meaning the platform's own. */
function isUser(pid: number, uid: number | null): boolean {
  try {
    return statSync(`/proc/${String(pid)}`).uid === (uid ?? process.getuid?.());
  } catch {
    return false;
  }
}
