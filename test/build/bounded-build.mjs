// bounded-build.mjs KIND DIR [FILES_MAX]: builds an archive without end and prints what came of it, and what memory it took.
import { Buffer } from "node:buffer";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Readable } from "node:stream";
import { createGzip } from "node:zlib";
import { combineArchives, createBuilder, DinpError } from "@dinp/core";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { createNodeHasher, createSystemClock } from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";
import { createSingleFileReader, createZipReader } from "@dinp/core/zip";

const [kind = "", dir = "", filesMax] = process.argv.slice(2);
const GIB = 1024 ** 3;
const zeros = Buffer.alloc(1024 ** 2);

/**
 * @param {string} name
 * @param {number} size
 * @param {string} type
 */
function header(name, size, type = "0") {
  const block = Buffer.alloc(512);
  block.write(name, 0, 100);
  block.write("0000644\0", 100);
  block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  block.write("        ", 148);
  block.write(type, 156);
  block.write("ustar\x0000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

/** @param {number} size */
function* bytesOf(size) {
  for (let left = size; left > 0; left -= zeros.length) yield zeros.subarray(0, left);
}

/**
 * An entry of 10 GiB.
 * @param {string} type
 */
function* hugeEntry(type) {
  yield header("zeros", 7 * GIB, type);
  yield* bytesOf(7 * GIB);
  yield header("more", 3 * GIB, type);
  yield* bytesOf(3 * GIB);
}

function* manyFiles() {
  for (let i = 0; i < 1_000_000; i += 1_000) {
    yield Buffer.concat(Array.from({ length: 1_000 }, (_, k) => header(`d/${String(i + k)}`, 0)));
  }
}

/** @param {Iterable<Uint8Array> | AsyncIterable<Uint8Array>} parts */
function gzip(parts) {
  return Readable.from(parts, { objectMode: false }).pipe(createGzip({ level: 1 }));
}

function* zipOfZeros() {
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  yield local;
  yield* bytesOf(10 * GIB);
}

/** @type {Readonly<Record<string, () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>>>} */
const uploads = {
  "tar: zeros": () => hugeEntry("0"),
  "tar.gz: zeros": () => gzip(hugeEntry("0")),
  "tar.gz: zeros in gzip in gzip": () => gzip(gzip(hugeEntry("0"))),
  "tar: a name without end": () => hugeEntry("L"),
  "tar.gz: a name without end": () => gzip(hugeEntry("L")),
  "tar: PAX records without end": () => hugeEntry("x"),
  "tar.gz: PAX records without end": () => gzip(hugeEntry("x")),
  "tar: a million files": manyFiles,
  "tar.gz: a million files": () => gzip(manyFiles()),
  "zip: zeros": zipOfZeros,
};

const format = kind.split(":", 1)[0];
const upload = uploads[kind];
if (upload === undefined || (format !== "tar" && format !== "tar.gz" && format !== "zip")) {
  throw new Error(`There is no upload ${kind}.`);
}
const spool = { dir: join(dir, "uploads") };
const builder = createBuilder({
  registry: createOciLayoutRegistry({ dir: join(dir, "registry") }),
  archive: combineArchives(createTarArchive(), {
    zip: createZipReader(spool),
    file: createSingleFileReader(spool),
  }),
  hasher: createNodeHasher(),
  clock: createSystemClock(),
  parseYaml,
  // The disk of a test's machine is not there to be filled.
  limits: {
    uploadBytesMax: 200_000_000,
    imageBytesMax: 8 * GIB,
    ...(filesMax === undefined ? {} : { imageFilesMax: Number(filesMax) }),
  },
});

/** @param {string} field */
function memory(field) {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync("/proc/self/status", "utf8"));
  return Number(line?.[1]) * 1024;
}

async function* pieces() {
  yield* upload?.() ?? [];
}

writeFileSync("/proc/self/clear_refs", "5");
const before = memory("VmRSS");
try {
  await builder.build({ repository: "apps/hostile", bytes: pieces(), format });
  throw new Error("It was built.");
} catch (error) {
  if (!(error instanceof DinpError)) throw error;
  const { code, message } = error;
  process.stdout.write(JSON.stringify({ code, message, grownBytes: memory("VmHWM") - before }));
}
process.exit(0);
