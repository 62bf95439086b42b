export {
  packDirectory,
  type PackDirectoryOptions,
  type PackedDirectory,
  type PackProgress,
} from "./pack-directory.js";
export { createTarArchive, TarArchive } from "./tar-archive.js";
