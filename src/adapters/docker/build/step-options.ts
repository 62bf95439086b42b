import type { DockerEngineAddress, DockerImages } from "../options.js";

/** Bounds of one step; memory and disk are one, since a step's files are kept in memory. */
export interface DockerStepLimits {
  /** Its files included. Default 1,024. */
  readonly memoryMb: number;
  /** Of its files, at most. Default 512. */
  readonly diskMb: number;
  /** Default 1,000. */
  readonly cpuMillis: number;
  /** Processes and threads. Default 128. */
  readonly pidsMax: number;
  /** From the beginning of the step, its image's coming included, to its end. Default 10 minutes. */
  readonly timeMs: number;
  /** Of standard error. Default 4 MiB. */
  readonly logBytesMax: number;
  /** Of standard output. Default 1 GiB. */
  readonly outputBytesMax: number;
  /** Steps that run at the same time; others wait, within their time. Default 2. */
  readonly stepsMax: number;
}

export interface DockerStepRunnerOptions {
  /** Default: the socket `/var/run/docker.sock`. */
  readonly engine?: DockerEngineAddress;
  /** Marks containers and images, apart from those of a runtime of the same cluster. */
  readonly clusterId: string;
  readonly images: DockerImages;
  /** A network of the engine's: what it leads to, an upload's programs can reach. Default `none`. */
  readonly network?: string;
  readonly limits?: Partial<DockerStepLimits>;
  /** The longest wait for an answer of the engine. Default 60 s. */
  readonly engineTimeoutMs?: number;
}

export const defaultStepLimits: DockerStepLimits = Object.freeze({
  memoryMb: 1_024,
  diskMb: 512,
  cpuMillis: 1_000,
  pidsMax: 128,
  timeMs: 600_000,
  logBytesMax: 4 * 1024 ** 2,
  outputBytesMax: 1024 ** 3,
  stepsMax: 2,
});
