export { createSingleFileReader, SingleFileReader } from "./single-file-reader.js";
export { createZipReader, ZipReader, type SpoolOptions } from "./zip-reader.js";
