import type { Clock, Random, RegistryConnector } from "@dinp/core";
import { createOciRegistry } from "@dinp/core/oci";

/** Docker's own registry is known by another name than its address. */
const addresses: ReadonlyMap<string, string> = new Map([["docker.io", "registry-1.docker.io"]]);

/** Registries that users take images from. */
export function createRegistryConnector(parts: {
  readonly clock: Clock;
  readonly random: Random;
}): RegistryConnector {
  return {
    connect: ({ host, credentials, ca, plainHttp }) => {
      const registry = createOciRegistry({
        ...parts,
        url: `${plainHttp ? "http" : "https"}://${addresses.get(host) ?? host}`,
        plainHttp,
        ...(ca === null ? {} : { ca }),
        ...(credentials === null ? {} : { credentials }),
      });
      return { registry, close: () => registry.close() };
    },
  };
}
