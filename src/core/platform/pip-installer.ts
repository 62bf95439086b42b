import type { BaseImage, InstalledLayer } from "../build/image-plan.js";
import { pipCommand, pipEnv, pipEnvironment, pipRequirements } from "../build/pip-step.js";
import { DinpError } from "../model/errors.js";
import type { AppManifest } from "../model/records.js";
import type { Archive } from "../ports/archive.js";
import type { Descriptor, Registry } from "../ports/registry.js";
import type { StepRunner } from "../ports/step-runner.js";
import type { BuildReport } from "./build-report.js";
import type { LayerWriter } from "./layer-writer.js";
import { pipLayerEntries } from "./pip-layer.js";

/** How builds install what apps ask for. */
export interface InstallSteps {
  readonly runner: StepRunner;
  /** Where pip finds packages. Null: only those that the app brings along. */
  readonly pipIndexUrl: string | null;
}

/** Installs what an app's `pip_requirements.txt` asks for, where there is a place to run pip. */
export class PipInstaller {
  readonly #options: {
    readonly steps?: InstallSteps;
    readonly registry: Registry;
    readonly archive: Archive;
  };
  readonly #layers: LayerWriter;
  readonly #limits: { readonly imageBytesMax: number; readonly imageFilesMax: number };

  constructor(
    options: { readonly steps?: InstallSteps; readonly registry: Registry; readonly archive: Archive },
    layers: LayerWriter,
    limits: { readonly imageBytesMax: number; readonly imageFilesMax: number },
  ) {
    this.#options = options;
    this.#layers = layers;
    this.#limits = limits;
  }

  /** What was installed, as a layer in the app's repository; null where nothing of an upload is run. */
  async install(
    app: {
      readonly repository: string;
      readonly layer: Descriptor;
      readonly base: BaseImage | null;
      readonly report: BuildReport;
      readonly log: ((line: string) => void) | undefined;
    },
    signal: AbortSignal,
  ): Promise<InstalledLayer | null> {
    const { steps, registry, archive } = this.#options;
    const { repository, base, report, log = () => undefined } = app;
    if (steps === undefined) {
      report.notInstalled(pipRequirements);
      return null;
    }
    if (base === null) throw baseNeeded();
    report.installing(pipRequirements, steps.pipIndexUrl);
    const step = {
      image: base.image,
      command: pipCommand,
      env: pipEnvironment(steps.pipIndexUrl),
      input: registry.readBlob(repository, app.layer.digest, { signal }),
    };
    const output = steps.runner.run(step, { log, signal });
    const { imageBytesMax: maxBytes, imageFilesMax: maxEntries } = this.#limits;
    const installed = archive.read(output, { format: "tar", maxBytes, maxEntries, signal });
    const written = await this.#layers.write(repository, pipLayerEntries(installed, maxEntries), signal);
    report.layer(written.layer);
    return { ...written, env: pipEnv, createdBy: `pip install --requirement ${pipRequirements}` };
  }
}

/** Python finds what was installed by a variable, unless the app says itself where it looks. */
export function withEnv(manifest: AppManifest | null, installed: InstalledLayer | null): AppManifest | null {
  return installed === null ? manifest : { ...manifest, env: { ...installed.env, ...manifest?.env } };
}

function baseNeeded(): DinpError {
  const message = `${pipRequirements} needs a base image with Python and pip to install on.`;
  return new DinpError("DINP_INVALID", message, {
    hint: 'Register one with "dinp bases add python --from TAR", or push the libraries with the app.',
    details: { field: "base" },
  });
}
