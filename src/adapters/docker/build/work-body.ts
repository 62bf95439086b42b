import type { TreeCommand } from "@dinp/core";
import { labels } from "../names.js";
import type { DockerWorkshopLimits } from "./workshop-options.js";

const MB = 1024 * 1024;
const FILES_OPEN_MAX = 4_096;
const VOLUME_MB = 64;
/** What installing software needs, and no more: who owns files, and becoming a user. */
const CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID"];

export const workKind = "image-work";

/** What the containers of a work have in common. */
export interface WorkDefaults {
  readonly clusterId: string;
  readonly workId: string;
  readonly network: string;
  readonly limits: DockerWorkshopLimits;
}

/** The body of a request that creates the container of a program that changes an image. */
export function commandBody(
  image: { readonly id: string; readonly volumes: readonly string[] },
  { command, env, user, workingDir }: TreeCommand,
  defaults: WorkDefaults,
): object {
  const { limits, network } = defaults;
  const memory = limits.memoryMb * MB;
  // More than may be, so that a program that ends there is not taken for one that has all it wants.
  const fileBytesMax = (limits.diskMb + 1) * MB;
  const rest = restingBody(image, defaults);
  return {
    ...rest,
    Cmd: [...command],
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    User: user,
    WorkingDir: workingDir,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      ...rest.HostConfig,
      NetworkMode: network,
      Memory: memory,
      MemorySwap: memory,
      NanoCpus: limits.cpuMillis * 1_000_000,
      PidsLimit: limits.pidsMax,
      Ulimits: [
        { Name: "core", Soft: 0, Hard: 0 },
        { Name: "nofile", Soft: FILES_OPEN_MAX, Hard: FILES_OPEN_MAX },
        { Name: "fsize", Soft: fileBytesMax, Hard: fileBytesMax },
      ],
      // The kernel takes a build before it takes an app.
      OomScoreAdj: 1_000,
    },
  };
}

/** The body of one that is never started: files are put into it and taken out of it. */
export function restingBody(
  { id, volumes }: { readonly id: string; readonly volumes: readonly string[] },
  { clusterId, workId }: WorkDefaults,
) {
  return {
    Image: id,
    Entrypoint: [],
    Cmd: ["-"],
    Tty: false,
    Healthcheck: { Test: ["NONE"] },
    Labels: { [labels.cluster]: clusterId, [labels.kind]: workKind, [labels.work]: workId },
    HostConfig: {
      NetworkMode: "none",
      RestartPolicy: { Name: "no" },
      LogConfig: { Type: "none" },
      Privileged: false,
      CapDrop: ["ALL"],
      CapAdd: CAPABILITIES,
      SecurityOpt: ["no-new-privileges"],
      // What an image names as a volume would be on the engine's disk, unbounded.
      Mounts: volumes.map((path) => ({
        Type: "tmpfs",
        Target: path,
        TmpfsOptions: { SizeBytes: VOLUME_MB * MB },
      })),
    },
  };
}
