export { configOf, noSettings, settingsOf, type ImageSettings } from "./image-settings.js";
export { ignoreRules, plainPath } from "./ignore-file.js";
export { parseDockerfile, type Dockerfile, type DockerfileStage } from "./parse-dockerfile.js";
export { planCopy, type ContextEntry, type CopyPlan } from "./plan-copy.js";
export type { RawInstruction } from "./read-dockerfile.js";
export { refusedAt, shown, type DockerfilePlace } from "./refusal.js";
export { beginStage, globalArgs, joined, stepOf, type StageAction, type StageState } from "./stage.js";
export { expand } from "./expand.js";
export { ownerOf, type Owner } from "./owner.js";
