import { createHash, randomBytes } from "node:crypto";
import { inspect } from "node:util";
import type { ByteStream, Descriptor, Registry } from "@dinp/core";

export const repository = "apps/hello";
export const manifestType = "application/vnd.oci.image.manifest.v1+json";

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export async function* pieces(bytes: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += size) {
    yield await Promise.resolve(bytes.subarray(offset, offset + size));
  }
}

export async function collect(stream: ByteStream): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export interface TestImage {
  readonly bytes: Uint8Array;
  readonly digest: string;
  readonly layer: { readonly digest: string; readonly size: number };
}

/** A small image whose content is its own. */
export async function putImage(registry: Registry, tag?: string, into = repository): Promise<TestImage> {
  const put = async (mediaType: string, bytes: Uint8Array): Promise<Descriptor> => ({
    mediaType,
    ...(await registry.writeBlob(into, pieces(bytes))),
  });
  const name = randomBytes(8).toString("hex");
  const config = await put("application/vnd.oci.image.config.v1+json", Buffer.from(JSON.stringify({ name })));
  const layer = await put("application/vnd.oci.image.layer.v1.tar", randomBytes(1_000));
  const manifest = { schemaVersion: 2, mediaType: manifestType, config, layers: [layer] };
  const bytes = new TextEncoder().encode(JSON.stringify(manifest));
  const options = tag === undefined ? {} : { tag };
  const { digest } = await registry.writeManifest(into, { mediaType: manifestType, bytes }, options);
  return { bytes, digest, layer };
}

/** The error of a call that must fail. */
export async function errorOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("The call succeeded where it must fail.");
}

/** All that a log could show of an error. */
export function everythingOf(error: unknown): string {
  return inspect(error, { depth: 10, showHidden: true, getters: true });
}
