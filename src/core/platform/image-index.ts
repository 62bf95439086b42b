import type { ImagePlatform } from "../build/image-plan.js";
import { indexTypes } from "../build/select-platform.js";
import { DinpError } from "../model/errors.js";
import { imageDigestHex } from "../model/image-names.js";
import type { Descriptor } from "../ports/registry.js";
import { descriptorOf, isObject, parseJsonObject } from "./image-json.js";
import { printable } from "./text.js";

const MANIFEST_TYPES: ReadonlySet<string> = new Set([
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
]);
/** An index in an index is usual; one in that is not. */
const DEPTH_MAX = 3;
const MANIFESTS_MAX = 1_000;

interface Candidate {
  readonly descriptor: Descriptor;
  /** `os/architecture`, null where the index does not say. */
  readonly platform: string | null;
  readonly name: string;
}

/**
 * The one image of an index (image-spec 1.1, image-index.md) that is meant: the only one, else the only one for the
 * platform. Attestations are no images. `DINP_ARCHIVE_REFUSED` says which there are.
 */
export async function chooseFromIndex(
  index: string,
  platform: ImagePlatform,
  read: (descriptor: Descriptor) => Promise<string>,
): Promise<Descriptor> {
  const found = new Map<string, Candidate>();
  await collect(index, 1, found, read);
  const all = [...found.values()];
  const [only] = all;
  if (only !== undefined && all.length === 1) return only.descriptor;
  const wanted = `${platform.os}/${platform.architecture}`;
  const fitting = all.filter((candidate) => candidate.platform === wanted);
  const [first] = fitting;
  if (first !== undefined && fitting.length === 1) return first.descriptor;
  const names = all.map(({ name, platform: of }) => `${name}${of === null ? "" : ` (${of})`}`);
  const shown = names.slice(0, 10).join(", ");
  throw new DinpError(
    "DINP_ARCHIVE_REFUSED",
    all.length === 0
      ? "The archive's index names no image."
      : printable(
          `The archive holds ${String(all.length)} images, and ${String(fitting.length)} of them for ${wanted}: ${shown}.`,
        ),
    { hint: "Save one image, for one kind of machine." },
  );
}

async function collect(
  text: string,
  depth: number,
  found: Map<string, Candidate>,
  read: (descriptor: Descriptor) => Promise<string>,
): Promise<void> {
  const { manifests } = parseJsonObject(text, "index");
  for (const value of Array.isArray(manifests) ? manifests : []) {
    const descriptor = descriptorOf(value);
    if (descriptor === null || !isObject(value) || isAttestation(value)) continue;
    imageDigestHex(descriptor.digest);
    if (indexTypes.includes(descriptor.mediaType) && depth < DEPTH_MAX) {
      await collect(await read(descriptor), depth + 1, found, read);
    } else if (MANIFEST_TYPES.has(descriptor.mediaType) && found.size < MANIFESTS_MAX) {
      found.set(descriptor.digest, {
        descriptor,
        platform: platformOf(value),
        name: nameOf(value) ?? descriptor.digest.slice(0, 19),
      });
    }
  }
}

function isAttestation({ annotations, platform }: Readonly<Record<string, unknown>>): boolean {
  const isUnknown = isObject(platform) && platform["os"] === "unknown";
  return isUnknown || (isObject(annotations) && annotations["vnd.docker.reference.type"] !== undefined);
}

function platformOf({ platform }: Readonly<Record<string, unknown>>): string | null {
  if (!isObject(platform)) return null;
  const { os, architecture } = platform;
  return typeof os === "string" && typeof architecture === "string" ? `${os}/${architecture}` : null;
}

function nameOf({ annotations }: Readonly<Record<string, unknown>>): string | null {
  if (!isObject(annotations)) return null;
  const name = annotations["io.containerd.image.name"] ?? annotations["org.opencontainers.image.ref.name"];
  return typeof name === "string" ? name : null;
}
