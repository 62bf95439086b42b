import type { Registry } from "@dinp/core";

/** A registry that does as the given one, but for these methods. */
export function registryWith(registry: Registry, broken: Partial<Registry>): Registry {
  return {
    resolve: (...call) => registry.resolve(...call),
    list: (...call) => registry.list(...call),
    readManifest: (...call) => registry.readManifest(...call),
    writeManifest: (...call) => registry.writeManifest(...call),
    hasBlob: (...call) => registry.hasBlob(...call),
    readBlob: (...call) => registry.readBlob(...call),
    writeBlob: (...call) => registry.writeBlob(...call),
    mountBlob: (...call) => registry.mountBlob(...call),
    delete: (...call) => registry.delete(...call),
    ...broken,
  };
}
