import { DinpError } from "./errors.js";

/** The most bytes that a manifest in a registry has: 4 MiB. */
export const manifestBytesMax = 4 * 1024 * 1024;

/** Throws `DINP_TOO_LARGE` for a manifest that no registry takes. */
export function assertManifestSize({ length }: Uint8Array): void {
  if (length <= manifestBytesMax) return;
  throw new DinpError("DINP_TOO_LARGE", `A manifest has at most ${String(manifestBytesMax)} bytes.`);
}

/** `DINP_IMAGE_NOT_FOUND` for a blob or manifest that a repository does not have. */
export function contentNotFound(what: "blob" | "manifest", repository: string, digest: string): DinpError {
  return new DinpError("DINP_IMAGE_NOT_FOUND", `There is no ${what} ${digest} in ${repository}.`, {
    details: { repository, digest },
  });
}

/** `DINP_INVALID` for a manifest that names a blob that its repository does not have. */
export function namedBlobMissing(repository: string, digest: string): DinpError {
  return new DinpError("DINP_INVALID", `The manifest names ${digest}, which ${repository} lacks.`, {
    hint: "Write (or mount) the blobs first, then the manifest.",
    details: { repository, digest },
  });
}

/** `DINP_DIGEST_MISMATCH` for bytes of `repository` that are to be `expected`; `actual`: their digest, or what they are. */
export function contentMismatch(repository: string, expected: string, actual: string): DinpError {
  const message = `Content of ${repository} should be ${expected} and is ${actual}.`;
  return new DinpError("DINP_DIGEST_MISMATCH", message, {
    hint: "It was damaged on its way or where it is kept: push it again.",
    details: { repository, expected, actual },
  });
}
