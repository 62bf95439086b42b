import type { Clock, ImageRef, Logger } from "@dinp/core";
import type { MemoryCgroup } from "./cgroup.js";
import type { OutputLog } from "./output-log.js";
import type { KernelUnits } from "./proc.js";
import type { ProcessTable } from "./process-table.js";

/** What all instances of a runtime share. */
export interface InstanceContext {
  readonly clusterId: string;
  readonly nodeAddress: string;
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  readonly table: ProcessTable;
  readonly units: KernelUnits;
  /** Aborts when the runtime closes: nothing is signalled or written after that. */
  readonly closing: AbortSignal;
  readonly onChange: (instanceId: string) => void;
}

/** What stays the same over an instance's life. */
export interface InstanceFacts {
  readonly instanceId: string;
  readonly appId: string;
  readonly releaseId: string;
  readonly image: ImageRef | null;
  readonly port: number;
  /** The user of its processes; null when it has none of its own or its port is not known. */
  readonly uid: number | null;
  readonly memoryMb: number;
  readonly startedAt: number;
  readonly dir: string;
  readonly log: OutputLog;
  readonly cgroup: MemoryCgroup | null;
}
