import {
  messageOf,
  type Archive,
  type ImageWorkshop,
  type InstallSteps,
  type Logger,
  type Registry,
} from "@dinp/core";
import type { UpBuilderOptions } from "@dinp/core/cli";
import { createDockerImageWorkshop, createDockerStepRunner, loadImages } from "@dinp/core/docker";

/** A start waits no longer for the engine; the first build that needs it asks again. */
const OPEN_MS_MAX = 10_000;

/** Where builds run what apps want installed, and what their Dockerfiles say. */
export interface BuildSteps {
  readonly steps: InstallSteps;
  readonly workshop: ImageWorkshop;
  close(): Promise<void>;
}

/** Null when builds are to run nothing. An engine that is away keeps no platform from starting. */
export async function openBuildSteps(options: {
  readonly wanted: UpBuilderOptions | null;
  readonly dockerSocket: string;
  readonly clusterId: string;
  readonly registry: Registry;
  readonly archive: Archive;
  readonly logger: Logger;
}): Promise<BuildSteps | null> {
  const { wanted, dockerSocket, clusterId, registry, archive, logger } = options;
  if (wanted === null) return null;
  const place = {
    engine: { socketPath: dockerSocket },
    clusterId,
    images: loadImages(registry),
    network: wanted.network,
  };
  const runner = createDockerStepRunner(place);
  const workshop = createDockerImageWorkshop({ ...place, archive });
  try {
    const signal = AbortSignal.timeout(OPEN_MS_MAX);
    await runner.open({ signal });
    await workshop.open({ signal });
  } catch (error) {
    logger.warn("the engine that builds run on does not answer yet", { error: messageOf(error) });
  }
  return {
    steps: { runner, pipIndexUrl: wanted.pipIndexUrl },
    workshop,
    close: async () => {
      await Promise.all([runner.close(), workshop.close()]);
    },
  };
}
