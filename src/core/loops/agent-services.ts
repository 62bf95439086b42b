import { isDinpError } from "../model/errors.js";
import type { NodeId, Release } from "../model/records.js";
import type { AgentRunRequest, AgentServices } from "../ports/control-link.js";
import type { ExecEvent, Runtime, RunSpec } from "../ports/runtime.js";
import type { NodeImages } from "./node-images.js";

const IMAGE_TRIES = 2;

/** The variables that a release's processes get on this node, besides those of the runtime. */
export function environmentOf(
  release: Release,
  nodeId: NodeId,
  secrets: Readonly<Record<string, string>> = {},
): Pick<RunSpec, "env" | "secretNames"> {
  const secretNames = Object.keys(secrets);
  return {
    env: {
      ...release.manifestEnv,
      ...release.env,
      ...secrets,
      DINP_RELEASE: String(release.number),
      DINP_NODE: nodeId,
    },
    ...(secretNames.length === 0 ? {} : { secretNames }),
  };
}

/** What an agent does for the server by its runtime alone. */
export function agentServices(nodeId: NodeId, runtime: Runtime, images: NodeImages): AgentServices {
  return {
    logs: (request) => runtime.logs(request.instanceId, request),
    exec: ({ instanceId, ...options }) => runtime.exec(instanceId, options),
    run: (request) => runOnce(nodeId, runtime, images, request),
  };
}

async function* runOnce(
  nodeId: NodeId,
  runtime: Runtime,
  images: NodeImages,
  request: AgentRunRequest,
): AsyncGenerator<ExecEvent, void, undefined> {
  const { runId, appName, release, grants, secrets, ...options } = request;
  const spec: RunSpec = {
    instanceId: runId,
    appId: release.appId,
    appName,
    releaseId: release.id,
    image: release.image,
    command: release.command,
    ...environmentOf(release, nodeId, secrets),
    memoryMb: release.memoryMb,
    cpuMillis: release.cpuMillis,
    ...(grants === undefined ? {} : { grants }),
  };
  images.noteAsked(release.image);
  for (let tries = 1; ; tries += 1) {
    await runtime.prepareImage(release.image, { signal: options.signal });
    try {
      yield* runtime.run(spec, options);
      return;
    } catch (error) {
      // Nothing has run: the image was just being removed when it was asked for.
      if (tries === IMAGE_TRIES || !isDinpError(error, "DINP_IMAGE_NOT_FOUND")) throw error;
    }
  }
}
