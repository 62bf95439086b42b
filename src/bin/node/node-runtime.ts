import {
  type Archive,
  type Clock,
  DinpError,
  isDinpError,
  type Logger,
  type Prober,
  readImage,
  type Registry,
  type Runtime,
  type Template,
} from "@dinp/core";
import type { RuntimeKind } from "@dinp/core/cli";
import { createDockerRuntime, loadImages, pullImages, type PullImagesOptions } from "@dinp/core/docker";
import { createHttpProber } from "@dinp/core/http";
import { createImageUnpacker, createListenerGuard, createProcessRuntime } from "@dinp/core/process";
import { findTomcat, tomcatProgram } from "@dinp/core/tomcat";
import { searchPathOf } from "../host/search-path.js";
import { assertPassable } from "./passable.js";

export interface NodeRuntimeOptions {
  readonly kind: RuntimeKind;
  /** The engine's socket, of `docker`. */
  readonly dockerSocket: string;
  /** The engine pulls images itself from there; absent: they are loaded into it. */
  readonly pull?: PullImagesOptions;
  readonly clusterId: string;
  /** Where instances are reached. */
  readonly address: string;
  /** Of plain processes: for unpacked images and instances. */
  readonly folder: string;
  readonly registry: Registry;
  readonly archive: Archive;
  readonly templates: readonly Template[];
  readonly staticServer: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What runs the instances of this machine, and what goes with it. */
export interface NodeRuntime {
  readonly runtime: Runtime;
  readonly prober: Prober;
  /** Stops all instances, at the same time. */
  stopAll(options: { readonly graceMs: number }): Promise<void>;
}

/** Makes the runtime; it is not opened. */
export async function createNodeRuntime(options: NodeRuntimeOptions): Promise<NodeRuntime> {
  return options.kind === "docker" ? dockerRuntime(options) : await processRuntime(options);
}

async function processRuntime(options: NodeRuntimeOptions): Promise<NodeRuntime> {
  const { clusterId, address, folder, registry, archive, templates, clock } = options;
  await assertPassable(folder);
  const tomcat = await findTomcat(process.env);
  const runtime = createProcessRuntime({
    dataDir: folder,
    clusterId,
    nodeAddress: address,
    unpack: createImageUnpacker({ registry, archive, readImage }),
    searchPath: searchPathOf(process.env["PATH"] ?? ""),
    programs: {
      "dinp-static": [process.execPath, options.staticServer],
      ...(tomcat === null ? {} : { "dinp-tomcat": tomcatProgram(tomcat) }),
    },
    askedPrograms: templates.flatMap(({ requires }) => requires),
    clock,
  });
  return {
    runtime,
    prober: createListenerGuard(createHttpProber()),
    stopAll: (stop) => runtime.stopAll(stop),
  };
}

/** Unless the engine is to pull them, images go straight to it from wherever the platform keeps them. */
function dockerRuntime({
  dockerSocket,
  pull,
  clusterId,
  address,
  registry,
  clock,
  logger,
}: NodeRuntimeOptions): NodeRuntime {
  const runtime = createDockerRuntime({
    engine: { socketPath: dockerSocket },
    clusterId,
    nodeAddress: address,
    images: pull === undefined ? loadImages(registry) : pullImages(pull),
    clock,
    logger,
  });
  const stopAll: NodeRuntime["stopAll"] = async ({ graceMs }) => {
    const instances = await runtime.list();
    const running = instances.filter(({ state }) => state === "running");
    await Promise.all(running.map(({ instanceId }) => runtime.stop(instanceId, { graceMs })));
  };
  return { runtime, prober: createHttpProber(), stopAll };
}

/** Opens it; of an engine that does not answer, says how to name another, which is by the flag `socketFlag`. */
export async function openNodeRuntime(
  { runtime }: NodeRuntime,
  {
    kind,
    dockerSocket,
    socketFlag,
  }: Pick<NodeRuntimeOptions, "kind" | "dockerSocket"> & {
    readonly socketFlag: string;
  },
): Promise<void> {
  try {
    await runtime.open();
  } catch (error) {
    if (kind !== "docker" || !isDinpError(error, "DINP_UNAVAILABLE")) throw error;
    throw new DinpError(
      "DINP_UNAVAILABLE",
      `The Docker engine at ${dockerSocket} cannot be used: ${error.message}`,
      {
        cause: error,
        hint: `Is it running, and may this user use it? ${socketFlag} names another one.`,
      },
    );
  }
}
