export {
  argumentsOf,
  chooseCommand,
  requiredPrograms,
  webProcess,
  type AppFiles,
  type ChosenCommand,
} from "./choose-command.js";
export { imageConfig, imageLabels, imageManifest, mediaTypes } from "./image-plan.js";
export type { BaseImage, ImageParts, ImagePlatform } from "./image-plan.js";
export { appFolder, AppTree, rewriteEntry, type EntryHead, type RewrittenEntry } from "./rewrite-entry.js";
export { decodeRootFile, isReadAtRoot } from "./root-files.js";
export { shellCommand } from "./shell-command.js";
export { chooseTemplate, knownPrograms, templateNamed, templates, type Template } from "./templates.js";
