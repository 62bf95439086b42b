import type { Server } from "node:net";
import { openMemoryController } from "./cgroup.js";
import { lockDataDir, openDataDir, type DataDir } from "./data-dir.js";
import { ImageStore } from "./image-store.js";
import type { InstanceContext } from "./instance-facts.js";
import { findSetpriv } from "./launcher.js";
import { DEFAULT_UID_BASE, type ProcessRuntimeOptions } from "./options.js";
import { OutputLog } from "./output-log.js";
import { readBootId, readKernelUnits } from "./proc.js";
import { ProcessTable } from "./process-table.js";
import { Programs } from "./programs.js";
import type { StartContext } from "./start.js";

const DEFAULT_SEARCH_PATH = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const DEFAULT_LOG_LIMITS = { maxBytes: 10 * 1024 * 1024, keepBytes: 5 * 1024 * 1024 };

/** What a runtime holds of its machine between `open` and `close`. */
export interface OpenedMachine extends StartContext {
  readonly data: DataDir;
  readonly lock: Server;
  readonly images: ImageStore;
}

/** Takes the data folder, alone, and finds out what the machine can do. To be let go of with {@link unlock}. */
export async function openMachine(
  options: ProcessRuntimeOptions,
  runtime: Pick<InstanceContext, "closing" | "onChange">,
): Promise<OpenedMachine> {
  const { clock, logger, clusterId, unpack, nodeAddress = "127.0.0.1" } = options;
  const uidOf = usersOf(options);
  const data = await openDataDir(options.dataDir, clusterId, uidOf(0));
  const lock = await lockDataDir(data, clock);
  try {
    const bootId = readBootId();
    const images = new ImageStore(data.imagesDir, unpack, bootId);
    await images.open();
    const programs = new Programs({
      dir: data.programsDir,
      searchPath: options.searchPath ?? DEFAULT_SEARCH_PATH,
      builtIn: options.programs ?? {},
      asked: options.askedPrograms ?? [],
      nodePath: process.execPath,
    });
    await programs.open(uidOf(0));
    const controllerName = `dinp-${clusterId}-${data.shortId}`;
    const cgroups = options.memoryLimit === "sampled" ? null : openMemoryController(controllerName);
    const machine = { table: new ProcessTable(), units: readKernelUnits() };
    const instance: InstanceContext = { clusterId, nodeAddress, clock, logger, ...machine, ...runtime };
    const setpriv = await findSetpriv();
    const logIn = (dir: string): OutputLog =>
      new OutputLog(dir, options.logLimits ?? DEFAULT_LOG_LIMITS, clock);
    return { data, lock, images, programs, cgroups, instance, uidOf, bootId, setpriv, logIn };
  } catch (error) {
    await closeServer(lock);
    throw error;
  }
}

/** Lets another runtime have the data folder. */
export function unlock({ lock }: OpenedMachine): Promise<void> {
  return closeServer(lock);
}

function usersOf({ uidBase }: ProcessRuntimeOptions): (port: number) => number | null {
  const base = uidBase === undefined ? DEFAULT_UID_BASE : uidBase;
  const root = process.getuid?.() === 0;
  return (port) => (root && base !== null ? base + port : null);
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });
}
