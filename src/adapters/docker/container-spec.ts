import type { AppGrants, InstanceSpec, RunSpec } from "@dinp/core";
import { buildEnvironment, HOME, TEMPORARY } from "./environment.js";
import { INIT_FOLDER, INIT_PATH } from "./init-lines.js";
import { imageText, labels, type Names } from "./names.js";

/** For images that name no user but root; the number that others use for this, too. */
const NOBODY = "65532:65532";
const PIDS_MAX = 512;
/** The kernel's weight of one processor, and its least. */
const CPU_SHARES_OF_ONE = 1024;
const CPU_SHARES_MIN = 2;
/** What nobody else needs, an instance may use up to this: starting takes more than running. */
const CPU_CAP_MIN_MILLIS = 1_000;
const MB = 1024 * 1024;

/** What of an image's configuration matters here. */
export interface ImageFacts {
  readonly id: string;
  readonly user: string;
  readonly path: string | null;
  readonly command: readonly string[];
}

/** What containers of a runtime have in common. */
export interface ContainerDefaults {
  readonly names: Names;
  readonly nodeAddress: string;
  readonly network: string;
  readonly logBytesMax: number;
  /** The volume that holds the first process. */
  readonly tools: string;
  /** The engine's processors, in thousandths. */
  readonly cpuMillisMax: number;
}

export interface ContainerPlan {
  readonly spec: InstanceSpec | RunSpec;
  readonly image: ImageFacts;
  readonly grants: AppGrants;
  readonly token: string;
  readonly startedAt: number;
  /** Why the command cannot be executed; null when nothing is known against it. */
  readonly problem: string | null;
}

/** The body of a request that creates an instance's container. */
export function instanceBody(defaults: ContainerDefaults, plan: ContainerPlan, port: number): object {
  const { spec, problem, startedAt } = plan;
  const key = `${String(port)}/tcp`;
  const body = commonBody(defaults, plan, { kind: "instance", mode: "i", port });
  return {
    ...body,
    Labels: {
      ...body.Labels,
      [labels.port]: String(port),
      [labels.startedAt]: String(startedAt),
      ...(problem === null ? {} : { [labels.problem]: problem }),
    },
    Cmd: problem === null ? [...spec.command] : [],
    ExposedPorts: { [key]: {} },
    HostConfig: {
      ...body.HostConfig,
      PortBindings: { [key]: [{ HostIp: defaults.nodeAddress, HostPort: String(port) }] },
      LogConfig: {
        Type: "json-file",
        Config: { "max-size": String(Math.ceil(defaults.logBytesMax / 2)), "max-file": "2" },
      },
    },
  };
}

/** The body of a request that creates a one-off's container. */
export function runBody(
  defaults: ContainerDefaults,
  plan: ContainerPlan,
  command: readonly string[],
): object {
  const body = commonBody(defaults, plan, { kind: "one-off", mode: "o", port: null });
  return {
    ...body,
    Cmd: [...command],
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: { ...body.HostConfig, LogConfig: { Type: "none" } },
  };
}

/** What the container of any kind has: its limits, and what it may not do. */
function commonBody(
  defaults: ContainerDefaults,
  { spec, image, grants, token, problem }: ContainerPlan,
  { kind, mode, port }: { kind: string; mode: "i" | "o"; port: number | null },
) {
  const { names } = defaults;
  const bytes = spec.memoryMb * MB;
  const tmpfs = `rw,exec,nosuid,nodev,mode=1777,size=${String(bytes)}`;
  return {
    Image: image.id,
    Entrypoint: [INIT_PATH, mode, token],
    Env: buildEnvironment(problem === null ? spec : { ...spec, env: {} }, {
      clusterId: names.clusterId,
      port,
      imagePath: image.path,
    }),
    User: userOf(image.user, grants.user),
    Tty: false,
    Healthcheck: { Test: ["NONE"] },
    Labels: {
      [labels.cluster]: names.clusterId,
      [labels.kind]: kind,
      [labels.instance]: spec.instanceId,
      [labels.app]: spec.appId,
      [labels.release]: spec.releaseId,
      [labels.image]: imageText(spec.image),
      [labels.memoryMb]: String(spec.memoryMb),
      [labels.token]: token,
    } as Readonly<Record<string, string>>,
    HostConfig: {
      NetworkMode: defaults.network,
      RestartPolicy: { Name: "no" },
      Memory: bytes,
      MemorySwap: bytes,
      CpuShares: Math.max(CPU_SHARES_MIN, Math.round((spec.cpuMillis * CPU_SHARES_OF_ONE) / 1000)),
      NanoCpus: Math.min(Math.max(spec.cpuMillis, CPU_CAP_MIN_MILLIS), defaults.cpuMillisMax) * 1_000_000,
      PidsLimit: grants.pidsMax ?? PIDS_MAX,
      Privileged: false,
      CapDrop: ["ALL"],
      CapAdd: [...(grants.capabilities ?? [])],
      SecurityOpt: grants.newPrivileges === true ? [] : ["no-new-privileges"],
      ReadonlyRootfs: grants.writableRoot !== true,
      Tmpfs: { [TEMPORARY]: tmpfs, [HOME]: tmpfs },
      Mounts: [
        {
          Type: "volume",
          Source: defaults.tools,
          Target: INIT_FOLDER,
          ReadOnly: true,
          VolumeOptions: { NoCopy: true },
        },
      ],
    },
  };
}

function userOf(imageUser: string, asked: string | undefined): string {
  if (asked !== undefined && asked !== "image") return asked;
  const isRoot = /^(?:|0|root)(?::.*)?$/.test(imageUser);
  return isRoot && asked !== "image" ? NOBODY : imageUser;
}
