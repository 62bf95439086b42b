export { type UnpackImage } from "./image-store.js";
export { createImageUnpacker, type ImageUnpackerOptions } from "./image-unpacker.js";
export { type ProcessRuntime, type ProcessRuntimeOptions } from "./options.js";
export { createListenerGuard, type ListenerGuardOptions } from "./listener-guard.js";
export { type OutputLogLimits } from "./output-log.js";
export { createProcessRuntime } from "./process-runtime.js";
export { wellKnownPrograms } from "./programs.js";
