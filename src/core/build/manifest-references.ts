import { DinpError } from "../model/errors.js";

/**
 * The digests of the blobs that an image manifest (or of the manifests that an image index) names. `DINP_INVALID` when
 * it is not a JSON object, when it says another media type than `mediaType`, or when a descriptor has no digest. Layers
 * that a registry need not hold (`nondistributable`) are left out.
 */
export function referencedDigests(mediaType: string, bytes: Uint8Array): readonly string[] {
  const manifest = parse(bytes);
  const said = manifest["mediaType"];
  if (said !== undefined && said !== mediaType) {
    throw invalid(`says that its media type is ${JSON.stringify(said)}, not ${mediaType}`);
  }
  const descriptors = [manifest["config"], ...listAt(manifest, "layers"), ...listAt(manifest, "manifests")];
  return descriptors.flatMap((descriptor) => {
    if (descriptor === undefined) return [];
    if (!isObject(descriptor) || typeof descriptor["digest"] !== "string") {
      throw invalid("has a descriptor without a digest");
    }
    const type = descriptor["mediaType"];
    const elsewhere = typeof type === "string" && /nondistributable|foreign/.test(type);
    return elsewhere ? [] : [descriptor["digest"]];
  });
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (isObject(value)) return value;
  } catch (cause) {
    throw invalid("is not JSON", cause);
  }
  throw invalid("is not a JSON object");
}

function listAt(value: Readonly<Record<string, unknown>>, key: string): readonly unknown[] {
  const list = value[key];
  if (list === undefined) return [];
  if (Array.isArray(list)) return list;
  throw invalid(`has ${key} that are not a list`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(what: string, cause?: unknown): DinpError {
  return new DinpError("DINP_INVALID", `The manifest ${what}.`, cause === undefined ? {} : { cause });
}
