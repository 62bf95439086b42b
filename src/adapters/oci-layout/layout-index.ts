import { readFile } from "node:fs/promises";
import { DinpError, type Descriptor } from "@dinp/core";
import { codeOf } from "./errors.js";

const REF_NAME = "org.opencontainers.image.ref.name";
const INDEX_TYPE = "application/vnd.oci.image.index.v1+json";

/** A manifest of a repository, once for each of its tags, or once without one. */
export interface IndexEntry extends Descriptor {
  readonly tag: string | null;
}

/** The entries of an `index.json` (image-spec 1.1, image-layout.md); none when the file is not there. `DINP_CORRUPT`. */
export async function readIndex(path: string): Promise<readonly IndexEntry[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
  const entries = parseIndex(text);
  if (entries !== null) return entries;
  throw new DinpError("DINP_CORRUPT", `${path} is not an OCI image index.`, {
    hint: "Restore it from a backup; the images themselves are in the blobs folder beside it.",
  });
}

/** The text of an `index.json` with these entries, in their order. */
export function formatIndex(entries: readonly IndexEntry[]): Uint8Array {
  const manifests = entries.map(({ mediaType, digest, size, tag }) => ({
    mediaType,
    digest,
    size,
    ...(tag === null ? {} : { annotations: { [REF_NAME]: tag } }),
  }));
  const index = { schemaVersion: 2, mediaType: INDEX_TYPE, manifests };
  return new TextEncoder().encode(`${JSON.stringify(index, null, 2)}\n`);
}

/** The entries after a manifest was put, with the tag (moved from wherever it was) or without one. */
export function withManifest(
  entries: readonly IndexEntry[],
  manifest: Descriptor,
  tag: string | null,
): readonly IndexEntry[] {
  const { mediaType, digest, size } = manifest;
  if (tag === null && entries.some((entry) => entry.digest === digest)) return entries;
  const untagged = entries.map((entry) =>
    tag !== null && entry.tag === tag ? { ...entry, tag: null } : entry,
  );
  return tidy([...untagged, { mediaType, digest, size, tag }]);
}

/** Each tag once, each digest without a tag only when it has none, sorted. */
function tidy(entries: readonly IndexEntry[]): readonly IndexEntry[] {
  const tagged = new Set(entries.filter((entry) => entry.tag !== null).map((entry) => entry.digest));
  const kept = new Map<string, IndexEntry>();
  for (const entry of entries) {
    if (entry.tag === null && tagged.has(entry.digest)) continue;
    kept.set(`${entry.tag ?? ""} ${entry.digest}`, entry);
  }
  return [...kept].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

function parseIndex(text: string): readonly IndexEntry[] | null {
  let index: unknown;
  try {
    index = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(index) || !Array.isArray(index["manifests"])) return null;
  const entries: IndexEntry[] = [];
  for (const item of index["manifests"]) {
    const entry = parseEntry(item);
    if (entry === null) return null;
    entries.push(entry);
  }
  return entries;
}

function parseEntry(item: unknown): IndexEntry | null {
  if (!isObject(item)) return null;
  const { mediaType, digest, size, annotations } = item;
  if (typeof mediaType !== "string" || typeof digest !== "string" || typeof size !== "number") return null;
  const tag = isObject(annotations) ? annotations[REF_NAME] : undefined;
  return { mediaType, digest, size, tag: typeof tag === "string" ? tag : null };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
