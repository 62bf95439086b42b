export { createDockerStepRunner, type DockerStepRunner } from "./build/step-runner.js";
export type { DockerStepLimits, DockerStepRunnerOptions } from "./build/step-options.js";
export { createDockerImageWorkshop, type DockerImageWorkshop } from "./build/image-workshop.js";
export type { DockerImageWorkshopOptions, DockerWorkshopLimits } from "./build/workshop-options.js";
export { createDockerRuntime } from "./docker-runtime.js";
export { loadImages } from "./load-images.js";
export type {
  DockerCredentials,
  DockerEngineAddress,
  DockerImages,
  DockerImageTarget,
  DockerRuntimeOptions,
  DockerTls,
} from "./options.js";
export { pullImages, type PullImagesOptions } from "./pull-images.js";
