import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { ExitCause, ImageRef, InstanceExit, InstanceSpec } from "@dinp/core";

/** Written before anything is spawned: an instance that has this file was started, whatever became of it. */
export interface IntentRecord {
  readonly spec: InstanceSpec;
  readonly intendedAt: number;
}

/** Who the instance's first process is. Written before it runs any of the app's code. */
export interface ProcessRecord {
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
  readonly startedAt: number;
  readonly cgroup: string | null;
  /** Enough of the intent to go on managing the process when that file is damaged. */
  readonly appId: string;
  readonly releaseId: string;
  readonly image: ImageRef;
  readonly port: number;
  readonly memoryMb: number;
}

/** A file that is there but does not hold what it should. */
export class DamagedRecordError extends Error {
  override readonly name = "DamagedRecordError";
}

/** Replaces a file so that a reader sees the old or the new content, also after a crash of the machine. */
export async function writeDurably(file: string, value: unknown): Promise<void> {
  const temporary = `${file}.tmp`;
  const handle = await open(temporary, "w", 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(value)}\n`, "utf8");
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  await syncFolder(dirname(file));
}

/** Makes the names in a folder durable. */
export async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder with exactly this mode, whatever the umask says. */
export async function makeFolder(dir: string, mode: number): Promise<void> {
  await mkdir(dir, { recursive: true, mode });
  const handle = await open(dir, "r");
  try {
    await handle.chmod(mode);
  } finally {
    await handle.close();
  }
}

/** The intent in `file`; null when there is no file. Throws {@link DamagedRecordError}. */
export function readIntent(file: string): Promise<IntentRecord | null> {
  return readRecord(file, asIntent);
}

/** The process record in `file`; null when there is no file. Throws {@link DamagedRecordError}. */
export function readProcessRecord(file: string): Promise<ProcessRecord | null> {
  return readRecord(file, asProcessRecord);
}

/** The exit in `file`; null when there is no file. Throws {@link DamagedRecordError}. */
export function readExit(file: string): Promise<InstanceExit | null> {
  return readRecord(file, asExit);
}

async function readRecord<T>(file: string, parse: (value: unknown) => T | null): Promise<T | null> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
  const record = parse(parseJson(text));
  if (record === null) throw new DamagedRecordError(`${file} does not hold a valid record.`);
  return record;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function asIntent(value: unknown): IntentRecord | null {
  if (!isObject(value)) return null;
  const { spec, intendedAt } = value;
  if (!isObject(spec) || typeof intendedAt !== "number") return null;
  const { instanceId, appId, appName, releaseId, image, command, env, memoryMb, cpuMillis, port } = spec;
  const ref = asImage(image);
  if (typeof instanceId !== "string" || typeof appId !== "string" || typeof appName !== "string") return null;
  if (typeof releaseId !== "string" || ref === null) return null;
  if (!isStrings(command) || !isStringMap(env)) return null;
  if (typeof memoryMb !== "number" || typeof cpuMillis !== "number" || typeof port !== "number") return null;
  return {
    spec: {
      instanceId,
      appId,
      appName,
      releaseId,
      image: ref,
      command,
      env,
      memoryMb,
      cpuMillis,
      port,
    },
    intendedAt,
  };
}

function asProcessRecord(value: unknown): ProcessRecord | null {
  if (!isObject(value)) return null;
  const { pid, startTime, bootId, startedAt, cgroup, appId, releaseId, port, memoryMb } = value;
  const image = asImage(value["image"]);
  if (image === null) return null;
  if (typeof pid !== "number" || !Number.isInteger(pid) || pid < 2) return null;
  if (typeof startTime !== "string" || typeof bootId !== "string" || typeof startedAt !== "number")
    return null;
  if (cgroup !== null && typeof cgroup !== "string") return null;
  if (typeof appId !== "string" || typeof releaseId !== "string") return null;
  if (typeof port !== "number" || typeof memoryMb !== "number") return null;
  return { pid, startTime, bootId, startedAt, cgroup, appId, releaseId, image, port, memoryMb };
}

function asImage(value: unknown): ImageRef | null {
  if (!isObject(value)) return null;
  const { repository, digest } = value;
  return typeof repository === "string" && typeof digest === "string" ? { repository, digest } : null;
}

const exitCauses: readonly ExitCause[] = ["exited", "memory", "image", "start", "stopped", "unknown"];

function asExit(value: unknown): InstanceExit | null {
  if (!isObject(value)) return null;
  const { at, code, signal, message, logTail } = value;
  const cause = exitCauses.find((known) => known === value["cause"]);
  if (cause === undefined || typeof at !== "number" || typeof message !== "string") return null;
  if (code !== null && typeof code !== "number") return null;
  if (signal !== null && typeof signal !== "string") return null;
  if (!isStrings(logTail)) return null;
  return { at, cause, code, signal, message, logTail };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isStringMap(value: unknown): value is Readonly<Record<string, string>> {
  return isObject(value) && Object.values(value).every((item) => typeof item === "string");
}
