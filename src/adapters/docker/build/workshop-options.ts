import type { Archive } from "@dinp/core";
import type { DockerEngineAddress, DockerImages } from "../options.js";

/** Bounds of one image's making. */
export interface DockerWorkshopLimits {
  /** Of each program, and no swap. Default 1,024. */
  readonly memoryMb: number;
  /** Of all that is written on top of the base, stages and what was removed again included. Default 2,048. */
  readonly diskMb: number;
  /** Files and folders that one program may write or remove. Default 100,000. */
  readonly filesMax: number;
  /** Default 1,000. */
  readonly cpuMillis: number;
  /** Processes and threads of each program. Default 256. */
  readonly pidsMax: number;
  /** Of the whole, waiting and images' coming included. Default 15 minutes. */
  readonly timeMs: number;
  /** Of all that programs write to their outputs. Default 4 MiB. */
  readonly logBytesMax: number;
  /** Images that are made at the same time; others wait, within their time. Default 2. */
  readonly worksMax: number;
}

export interface DockerImageWorkshopOptions {
  /** Default: the socket `/var/run/docker.sock`. */
  readonly engine?: DockerEngineAddress;
  /** Marks containers and images, apart from those of a runtime or step runner of the same cluster. */
  readonly clusterId: string;
  readonly images: DockerImages;
  /** Reads and writes the tars in which files go to the engine and come from it. */
  readonly archive: Archive;
  /** A network of the engine's: what it leads to, an upload's programs can reach. Default `none`. */
  readonly network?: string;
  readonly limits?: Partial<DockerWorkshopLimits>;
  /** The longest wait for an answer of the engine. Default 60 s. */
  readonly engineTimeoutMs?: number;
}

export const defaultWorkshopLimits: DockerWorkshopLimits = Object.freeze({
  memoryMb: 1_024,
  diskMb: 2_048,
  filesMax: 100_000,
  cpuMillis: 1_000,
  pidsMax: 256,
  timeMs: 15 * 60_000,
  logBytesMax: 4 * 1024 ** 2,
  worksMax: 2,
});
