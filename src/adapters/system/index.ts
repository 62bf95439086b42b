export { isPortFree } from "./is-port-free.js";
export { createSystemClock } from "./clock.js";
export { createFileLocalState, type FileLocalStateOptions } from "./file-local-state.js";
export { createFileSecretBox, type FileSecretBoxOptions } from "./file-secret-box.js";
export { addSecretKey } from "./secret-key-file.js";
export { createFileSpool, type FileSpoolOptions } from "./file-spool.js";
export { createNodeHasher } from "./hasher.js";
export {
  createPinoLogger,
  type LogDestination,
  type LogLevel,
  type PinoLoggerOptions,
} from "./pino-logger.js";
export { createSystemRandom } from "./random.js";
