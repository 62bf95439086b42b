import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { createGunzip } from "node:zlib";
import { createBuilder, type ImageRef, type ByteStream } from "@dinp/core";
import { createGzipCompressor } from "@dinp/core/gzip";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { createNodeHasher, createSystemClock } from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";

/** What both read the archive in. */
const pieceBytes = 256 * 1024;

/** The least that has to be done with an archive: unpack it, and hash both of its forms. */
export async function unpackAndHash(archive: string): Promise<readonly string[]> {
  const bytes = readFileSync(archive);
  const [packedHash, unpackedHash] = [createHash("sha256"), createHash("sha256")];
  const gunzip = createGunzip({ chunkSize: pieceBytes });
  const feed = async (): Promise<void> => {
    for (let offset = 0; offset < bytes.length; offset += pieceBytes) {
      const piece = bytes.subarray(offset, offset + pieceBytes);
      packedHash.update(piece);
      if (!gunzip.write(piece)) await new Promise((resolve) => gunzip.once("drain", resolve));
    }
    gunzip.end();
  };
  const feeding = feed();
  for await (const piece of gunzip) if (piece instanceof Uint8Array) unpackedHash.update(piece);
  await feeding;
  return [packedHash.digest("hex"), unpackedHash.digest("hex")];
}

/** Builds the archive into an image in the registry below `registryDir`, as `dinp up` does. */
export async function buildImage(
  archive: string,
  registryDir: string,
  compression: "none" | "gzip",
): Promise<ImageRef> {
  const builder = createBuilder({
    registry: createOciLayoutRegistry({ dir: registryDir }),
    archive: createTarArchive(),
    hasher: createNodeHasher(),
    clock: createSystemClock(),
    parseYaml,
    ...(compression === "gzip" ? { compressor: createGzipCompressor() } : {}),
  });
  const bytes: ByteStream = createReadStream(archive, { highWaterMark: pieceBytes });
  const { image } = await builder.build({ repository: "apps/bench", bytes, format: "tar.gz", tag: "v1" });
  return image;
}
