import { createHash } from "node:crypto";
import type { ByteStream, Descriptor, Registry } from "../ports/registry.js";

export const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
export const CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar";
export const HELLO = "apps/hello";
export const OTHER = "apps/other";
export const ABSENT = `sha256:${"0".repeat(64)}`;

export interface StoredImage {
  readonly bytes: Uint8Array;
  readonly descriptor: Descriptor;
  readonly layer: Descriptor;
}

/** Writes a small image whose content depends on `name`; its layer is `layer`, when one is given that is there. */
export async function putImage(
  registry: Registry,
  repository: string,
  name: string,
  tag?: string,
  layer?: Descriptor,
): Promise<StoredImage> {
  const config = await putBlob(registry, repository, CONFIG_TYPE, `{"name":${JSON.stringify(name)}}`);
  const own = layer ?? (await putBlob(registry, repository, LAYER_TYPE, `layer of ${name} `.repeat(1_000)));
  const bytes = manifestOf(config, [own]);
  const manifest = { mediaType: MANIFEST_TYPE, bytes };
  const descriptor = await registry.writeManifest(repository, manifest, tag === undefined ? {} : { tag });
  return { bytes, descriptor, layer: own };
}

async function putBlob(
  registry: Registry,
  repository: string,
  mediaType: string,
  text: string,
): Promise<Descriptor> {
  const bytes = new TextEncoder().encode(text);
  const { digest, size } = await registry.writeBlob(repository, pieces(bytes, 4_096), {
    expected: sha256(bytes),
  });
  return { mediaType, digest, size };
}

export function manifestOf(config: Descriptor, layers: readonly Descriptor[]): Uint8Array {
  const manifest = { schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers };
  return new TextEncoder().encode(JSON.stringify(manifest));
}

export function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) bytes[i] = (i * 31 + (i >> 8)) & 0xff;
  return bytes;
}

export async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let offset = 0; offset < bytes.length; offset += size) {
    yield await Promise.resolve(bytes.subarray(offset, offset + size));
  }
}

export async function collect(stream: ByteStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
