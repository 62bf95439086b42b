export {
  argumentsOf,
  chooseCommand,
  requiredPrograms,
  webProcess,
  type AppFiles,
  type ChosenCommand,
} from "./choose-command.js";
export { imageConfig, imageLabels, imageManifest, mediaTypes } from "./image-plan.js";
export type { BaseImage, ImageParts, ImagePlatform, InstalledLayer } from "./image-plan.js";
export type { IpAddress, IpRange } from "./ip-address.js";
export { referencedDigests } from "./manifest-references.js";
export { appFolder, AppTree, rewriteEntry, type EntryHead, type RewrittenEntry } from "./rewrite-entry.js";
export { detectFormat, formatHeadBytes, unknownFormat } from "./upload-format.js";
export {
  parseUploadPlace,
  uploadAddressRefusal,
  uploadPlaceOf,
  type AllowedUploadPlace,
  type UploadPlace,
} from "./upload-places.js";
export { checkUploadUrl, fileNameInUrl, parseUploadUrl, shownUrl } from "./upload-url.js";
export { planUpload, type UploadFacts, type UploadPlan } from "./upload-plan.js";
export { decodeRootFile, isReadAtRoot } from "./root-files.js";
export {
  formatPlatform,
  platformImages,
  selectPlatform,
  type NodePlatform,
  type PlatformImage,
} from "./select-platform.js";
export { shellCommand } from "./shell-command.js";
export { builtInTemplates } from "./built-in-templates.js";
export { commandFrom, recognizedBy } from "./describe-template.js";
export { extendTemplates, parseTemplates } from "./parse-templates.js";
export {
  chooseTemplate,
  fallbackTemplate,
  knownPrograms,
  templateNamed,
  type CommandSource,
  type Recognition,
  type Template,
} from "./templates.js";
