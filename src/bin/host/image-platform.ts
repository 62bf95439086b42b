import type { ImagePlatform } from "@dinp/core";

const architectures: ReadonlyMap<string, string> = new Map([
  ["ia32", "386"],
  ["x64", "amd64"],
]);

/** Of this machine: instances run on it, or on others of its kind. */
export const imagePlatform: ImagePlatform = {
  os: "linux",
  architecture: architectures.get(process.arch) ?? process.arch,
};
