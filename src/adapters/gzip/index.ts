export { createGzipCompressor } from "./gzip-compressor.js";
