import type { BuildStep } from "@dinp/core";
import type { ImageFacts } from "../container-spec.js";
import { labels } from "../names.js";
import type { DockerStepLimits } from "./step-options.js";

/** Where a step works; its only files of any size. */
const WORK = "/work";
const NOBODY = 65_532;
const MB = 1024 * 1024;
const TEMPORARY_MB = 16;
const FILES_OPEN_MAX = 1_024;

export const stepKind = "build-step";

/**
 * The body of a request that creates a step's container: nobody's user without any capability, its image read-only, its own
 * files in memory and so within its limits, no log on the engine's disk.
 */
export function stepBody(
  step: BuildStep,
  image: ImageFacts,
  clusterId: string,
  options: { readonly network: string; readonly limits: DockerStepLimits },
): object {
  const { network, limits } = options;
  const memory = limits.memoryMb * MB;
  const env = {
    ...(image.path === null ? {} : { PATH: image.path }),
    HOME: WORK,
    TMPDIR: WORK,
    LANG: "C.UTF-8",
    ...step.env,
  };
  return {
    Image: image.id,
    Entrypoint: [],
    Cmd: [...step.command],
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    User: `${String(NOBODY)}:${String(NOBODY)}`,
    WorkingDir: WORK,
    Tty: false,
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Healthcheck: { Test: ["NONE"] },
    Labels: { [labels.cluster]: clusterId, [labels.kind]: stepKind },
    HostConfig: {
      NetworkMode: network,
      RestartPolicy: { Name: "no" },
      LogConfig: { Type: "none" },
      Memory: memory,
      MemorySwap: memory,
      NanoCpus: limits.cpuMillis * 1_000_000,
      PidsLimit: limits.pidsMax,
      Ulimits: [
        { Name: "core", Soft: 0, Hard: 0 },
        { Name: "nofile", Soft: FILES_OPEN_MAX, Hard: FILES_OPEN_MAX },
      ],
      // The kernel takes a step before it takes an app.
      OomScoreAdj: 1_000,
      Privileged: false,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      ReadonlyRootfs: true,
      Tmpfs: {
        [WORK]: tmpfs(limits.diskMb),
        "/tmp": tmpfs(TEMPORARY_MB),
      },
    },
  };
}

/** Owned by the step: the engine gives a mount the mode of the folder that it covers, whatever mode is asked for. */
function tmpfs(sizeMb: number): string {
  const owner = `uid=${String(NOBODY)},gid=${String(NOBODY)}`;
  return `rw,exec,nosuid,nodev,mode=1777,${owner},size=${String(sizeMb)}m`;
}
