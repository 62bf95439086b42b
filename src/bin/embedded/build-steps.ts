import { messageOf, type InstallSteps, type Logger, type Registry } from "@dinp/core";
import type { UpBuilderOptions } from "@dinp/core/cli";
import { createDockerStepRunner, loadImages } from "@dinp/core/docker";

/** A start waits no longer for the engine; the first build that needs it asks again. */
const OPEN_MS_MAX = 10_000;

/** Where builds run what apps want installed. */
export interface BuildSteps {
  readonly steps: InstallSteps;
  close(): Promise<void>;
}

/** Null when builds are to run nothing. An engine that is away keeps no platform from starting. */
export async function openBuildSteps(options: {
  readonly wanted: UpBuilderOptions | null;
  readonly dockerSocket: string;
  readonly clusterId: string;
  readonly registry: Registry;
  readonly logger: Logger;
}): Promise<BuildSteps | null> {
  const { wanted, dockerSocket, clusterId, registry, logger } = options;
  if (wanted === null) return null;
  const runner = createDockerStepRunner({
    engine: { socketPath: dockerSocket },
    clusterId,
    images: loadImages(registry),
    network: wanted.network,
  });
  try {
    await runner.open({ signal: AbortSignal.timeout(OPEN_MS_MAX) });
  } catch (error) {
    logger.warn("the engine that builds run on does not answer yet", { error: messageOf(error) });
  }
  return { steps: { runner, pipIndexUrl: wanted.pipIndexUrl }, close: () => runner.close() };
}
