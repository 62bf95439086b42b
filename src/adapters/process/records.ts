import { dirname, join } from "node:path";
import type { ExitCause, ImageRef, InstanceExit, InstanceSpec } from "@dinp/core";
import { makeFolder, readIfThere, syncFolder, writeDurably } from "./durable-files.js";

/** The files of an instance's records, in its folder. */
const INTENT = "spec.json";
const PROCESS = "process.json";
const EXIT = "exit.json";

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

/** Makes the instance's folder and its intent durable; secrets are kept out of it. */
export async function writeIntent(dir: string, { spec, intendedAt }: IntentRecord): Promise<void> {
  const { secretNames = [], ...kept } = spec;
  const env = Object.fromEntries(Object.entries(spec.env).filter(([name]) => !secretNames.includes(name)));
  await makeFolder(dir, 0o711);
  await writeDurably(join(dir, INTENT), { spec: { ...kept, env }, intendedAt });
  await syncFolder(dirname(dir));
}

/** Makes the identity of the instance's first process durable. */
export function writeProcessRecord(dir: string, record: ProcessRecord): Promise<void> {
  return writeDurably(join(dir, PROCESS), record);
}

/** Makes the instance's end durable. */
export function writeExit(dir: string, exit: InstanceExit): Promise<void> {
  return writeDurably(join(dir, EXIT), exit);
}

/** The intent in the instance's folder; null when there is none. Throws {@link DamagedRecordError}. */
export function readIntent(dir: string): Promise<IntentRecord | null> {
  return readRecord(join(dir, INTENT), asIntent);
}

/** The process record in the instance's folder; null when there is none. Throws {@link DamagedRecordError}. */
export function readProcessRecord(dir: string): Promise<ProcessRecord | null> {
  return readRecord(join(dir, PROCESS), asProcessRecord);
}

/** The exit in the instance's folder; null when there is none. Throws {@link DamagedRecordError}. */
export function readExit(dir: string): Promise<InstanceExit | null> {
  return readRecord(join(dir, EXIT), asExit);
}

async function readRecord<T>(file: string, parse: (value: unknown) => T | null): Promise<T | null> {
  const text = await readIfThere(file);
  if (text === null) return null;
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
