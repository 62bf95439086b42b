import { chown, mkdir, open, rm, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isDinpError, messageOf, type ImageRef, type InstanceExit, type InstanceSpec } from "@dinp/core";
import type { MemoryCgroup, MemoryController } from "./cgroup.js";
import { buildEnvironment } from "./environment.js";
import type { InstanceContext, InstanceFacts } from "./instance-facts.js";
import { Instance, writeExit } from "./instance.js";
import { launch, type Launched } from "./launcher.js";
import type { OutputLog } from "./output-log.js";
import { readProcess } from "./proc.js";
import type { Programs } from "./programs.js";
import { makeFolder, syncFolder, writeDurably, type IntentRecord, type ProcessRecord } from "./records.js";
import { removeInstanceFolder } from "./recovery.js";
import { findUnusable } from "../runtime/spec-checks.js";

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
  const { clock } = context.instance;
  const { dir, appDir } = places;
  let cgroup: MemoryCgroup | null = null;
  try {
    const startedAt = clock.now();
    await writeIntent(dir, { spec, intendedAt: startedAt });
    const uid = context.uidOf(spec.port);
    const output = await makePlaces(dir, uid);
    try {
      const { instanceId, appId, releaseId, image, port, memoryMb } = spec;
      const factsWith = (memory: MemoryCgroup | null): InstanceFacts => ({
        instanceId,
        appId,
        releaseId,
        image,
        port,
        uid,
        memoryMb,
        startedAt,
        dir,
        log: context.logIn(dir),
        cgroup: memory,
      });
      const unusable = findUnusable(spec);
      if (unusable !== null) return await failed(context, factsWith(null), unusable);
      const program = await context.programs.resolve(spec.command, appDir, uid);
      if (!program.found) return await failed(context, factsWith(null), program.message);
      cgroup = context.cgroups?.create(spec.instanceId, spec.memoryMb) ?? null;
      const env = buildEnvironment({ ...spec, execId: null }, context.instance.clusterId, {
        appDir,
        homeDir: join(dir, "home"),
        temporaryDir: join(dir, "tmp"),
        path: context.programs.pathOf(appDir),
      });
      const { setpriv } = context;
      const launched = await launch({
        argv: program.argv,
        env,
        cwd: appDir,
        uid,
        output: output.fd,
        setpriv,
      }).catch((error: unknown) => {
        if (isDinpError(error)) throw error;
        return `The command could not be started: ${messageOf(error)}.`;
      });
      if (typeof launched !== "string") return await begin(context, factsWith(cgroup), image, launched);
      cgroup?.tryRemove();
      return await failed(context, factsWith(null), launched);
    } finally {
      await output.close();
    }
  } catch (error) {
    cgroup?.tryRemove();
    await removeInstanceFolder(dirname(dir), spec.instanceId).catch(() => undefined);
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
  const { pid, startTime, bootId } = identity;
  const record: ProcessRecord = {
    pid,
    startTime,
    bootId,
    startedAt,
    cgroup: cgroup?.path ?? null,
    appId,
    releaseId,
    image,
    port,
    memoryMb,
  };
  await writeDurably(join(dir, "process.json"), record);
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

async function writeIntent(dir: string, intent: IntentRecord): Promise<void> {
  await makeFolder(dir, 0o711);
  await writeDurably(join(dir, "spec.json"), intent);
  await syncFolder(dirname(dir));
}

/** The instance's own folders and its open log. The app's user may open the log anew (`/dev/stdout`) but not replace it. */
async function makePlaces(dir: string, uid: number | null): Promise<FileHandle> {
  await makeOwnFolders(dir, uid);
  const output = await open(join(dir, "output.log"), "a", 0o600);
  if (uid !== null) await output.chown(uid, uid);
  return output;
}

/** `home` and `tmp`, empty and the user's own. */
export async function makeOwnFolders(dir: string, uid: number | null): Promise<void> {
  for (const name of ["home", "tmp"]) {
    const path = join(dir, name);
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { mode: 0o700 });
    if (uid !== null) await chown(path, uid, uid);
  }
}
