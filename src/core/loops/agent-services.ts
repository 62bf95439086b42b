import type { NodeId, Release } from "../model/records.js";
import type { AgentRunRequest, AgentServices } from "../ports/control-link.js";
import type { ExecEvent, Runtime } from "../ports/runtime.js";

/** The variables that a release's processes get on this node, besides those of the runtime. */
export function environmentOf(release: Release, nodeId: NodeId): Readonly<Record<string, string>> {
  return {
    ...release.manifestEnv,
    ...release.env,
    DINP_RELEASE: String(release.number),
    DINP_NODE: nodeId,
  };
}

/** What an agent does for the server by its runtime alone. */
export function agentServices(nodeId: NodeId, runtime: Runtime): AgentServices {
  return {
    logs: (request) => runtime.logs(request.instanceId, request),
    exec: ({ instanceId, ...options }) => runtime.exec(instanceId, options),
    run: (request) => runOnce(nodeId, runtime, request),
  };
}

async function* runOnce(
  nodeId: NodeId,
  runtime: Runtime,
  request: AgentRunRequest,
): AsyncGenerator<ExecEvent, void, undefined> {
  const { runId, appName, release, ...options } = request;
  await runtime.prepareImage(release.image, { signal: options.signal });
  const spec = {
    instanceId: runId,
    appId: release.appId,
    appName,
    releaseId: release.id,
    image: release.image,
    command: release.command,
    env: environmentOf(release, nodeId),
    memoryMb: release.memoryMb,
    cpuMillis: release.cpuMillis,
  };
  yield* runtime.run(spec, options);
}
