import { dirname } from "node:path";
import { isDinpError, messageOf, type ImageRef, type InstanceExit, type InstanceSpec } from "@dinp/core";
import { findUnusable } from "../runtime/spec-checks.js";
import type { MemoryController } from "./cgroup.js";
import { buildEnvironment } from "./environment.js";
import type { InstanceContext, InstanceFacts } from "./instance-facts.js";
import { makeOwnFolders, ownFolders, removeInstanceFolder } from "./instance-folders.js";
import { Instance } from "./instance.js";
import { launch, type Launched } from "./launcher.js";
import { openOutput, type OutputLog } from "./output-log.js";
import { readProcess } from "./proc.js";
import type { Programs } from "./programs.js";
import { writeExit, writeIntent, writeProcessRecord, type ProcessRecord } from "./records.js";

/** What every start needs. */
export interface StartContext {
  readonly instance: InstanceContext;
  readonly programs: Programs;
  readonly cgroups: MemoryController | null;
  readonly bootId: string;
  readonly setpriv: string | null;
  /** The user of the instance at a port, or null for the platform's own. */
  readonly uidOf: (port: number) => number | null;
  readonly logIn: (dir: string) => OutputLog;
}

/**
 * Starts an instance that was not started before: its intent is on disk before a process is made, and the process's identity before
 * it runs anything of the app. What cannot be executed gives an exited instance of cause `start`; when the machine is at fault
 * nothing is left and the error says so.
 */
export async function startInstance(
  context: StartContext,
  spec: InstanceSpec,
  places: { readonly dir: string; readonly appDir: string },
): Promise<Instance> {
  const { dir, appDir } = places;
  const { instanceId, appId, releaseId, image, port, memoryMb } = spec;
  const startedAt = context.instance.clock.now();
  const uid = context.uidOf(port);
  try {
    await writeIntent(dir, { spec, intendedAt: startedAt });
    await makeOwnFolders(dir, uid);
    const output = await openOutput(dir, uid);
    try {
      const about = { instanceId, appId, releaseId, image, port, uid, memoryMb, startedAt, dir };
      const facts = { ...about, log: context.logIn(dir), cgroup: null };
      return await startProcess(context, spec, facts, { appDir, output: output.fd });
    } finally {
      await output.close();
    }
  } catch (error) {
    await removeInstanceFolder(dirname(dir), instanceId).catch(() => undefined);
    throw error;
  }
}

/** Starts the first process; without a program that can be executed, the instance has ended. */
async function startProcess(
  context: StartContext,
  spec: InstanceSpec,
  facts: InstanceFacts,
  places: { readonly appDir: string; readonly output: number },
): Promise<Instance> {
  const { instance, programs, cgroups, setpriv } = context;
  const { appDir, output } = places;
  const { uid, dir } = facts;
  const unusable = findUnusable(spec);
  if (unusable !== null) return await failed(context, facts, unusable);
  const program = await programs.resolve(spec.command, appDir, uid);
  if (!program.found) return await failed(context, facts, program.message);
  const cgroup = cgroups?.create(spec.instanceId, spec.memoryMb) ?? null;
  try {
    const env = buildEnvironment({ ...spec, execId: null }, instance.clusterId, {
      appDir,
      ...ownFolders(dir),
      path: programs.pathOf(appDir),
    });
    const launched = await launch({ argv: program.argv, env, cwd: appDir, uid, output, setpriv }).catch(
      (error: unknown) => {
        if (isDinpError(error)) throw error;
        return `The command could not be started: ${messageOf(error)}.`;
      },
    );
    if (typeof launched !== "string") return await begin(context, { ...facts, cgroup }, spec.image, launched);
    cgroup?.tryRemove();
    return await failed(context, facts, launched);
  } catch (error) {
    cgroup?.tryRemove();
    throw error;
  }
}

/** Records the waiting process and lets it become the app. */
async function begin(
  context: StartContext,
  facts: InstanceFacts,
  image: ImageRef,
  launched: Launched,
): Promise<Instance> {
  const instance = new Instance(context.instance, facts, null);
  const stat = readProcess(launched.pid);
  try {
    if (stat === null) throw new Error(`Process ${String(launched.pid)} ended before it was let go on.`);
    facts.cgroup?.join(launched.pid);
    await recordProcess(facts, image, {
      pid: launched.pid,
      startTime: stat.startTime,
      bootId: context.bootId,
    });
  } catch (error) {
    launched.cancel();
    throw error;
  }
  instance.run({ pid: launched.pid, startTime: stat.startTime }, launched.child);
  launched.release();
  return instance;
}

/** Makes the identity of an instance's first process durable. */
export async function recordProcess(
  facts: InstanceFacts,
  image: ImageRef,
  identity: Pick<ProcessRecord, "pid" | "startTime" | "bootId">,
): Promise<void> {
  const { appId, releaseId, port, memoryMb, startedAt, dir, cgroup } = facts;
  const about = { appId, releaseId, image, port, memoryMb, startedAt };
  await writeProcessRecord(dir, { ...identity, cgroup: cgroup?.path ?? null, ...about });
}

async function failed(context: StartContext, facts: InstanceFacts, message: string): Promise<Instance> {
  const exit: InstanceExit = {
    at: facts.startedAt,
    cause: "start",
    code: null,
    signal: null,
    message,
    logTail: [],
  };
  await writeExit(facts.dir, exit);
  return new Instance(context.instance, facts, exit);
}
