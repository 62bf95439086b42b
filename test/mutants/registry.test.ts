import { DinpError, type Registry } from "@dinp/core";
import { createMemoryRegistry } from "@dinp/core/memory";
import { createNodeHasher, createSystemClock } from "@dinp/core/system";
import { registrySuite, type ConformanceCase } from "@dinp/core/testing";
import { describeMatrix } from "./describe-matrix.js";
import { registryMutants } from "./registry-mutants.js";
import { registryWith } from "./registry-with.js";

const TAKES_MS_MAX = 3_000;

/** The suite over a registry in memory whose backing can be damaged and cut off. */
function suite(mutate: (registry: Registry) => Registry, waitMs?: number): readonly ConformanceCase[] {
  return registrySuite({
    damages: true,
    cuts: true,
    ...(waitMs === undefined ? {} : { waitMs }),
    create: () => {
      const contents = new Map<string, Uint8Array>();
      const memory = createMemoryRegistry({
        hasher: createNodeHasher(),
        clock: createSystemClock(),
        contents,
      });
      const link = { isCut: false };
      return Promise.resolve({
        registry: mutate(withLink(memory, link)),
        damage: (_, digest) => {
          const bytes = contents.get(digest)?.slice() ?? new Uint8Array(1);
          bytes[0] = (bytes[0] ?? 0) ^ 1;
          contents.set(digest, bytes);
          return Promise.resolve();
        },
        cut: () => {
          link.isCut = true;
          return Promise.resolve();
        },
        dispose: () => Promise.resolve(),
      });
    },
  });
}

/** A registry behind a link that can be cut, as one on another machine is. */
function withLink(registry: Registry, link: { readonly isCut: boolean }): Registry {
  const reach = (): void => {
    if (!link.isCut) return;
    throw new DinpError("DINP_UNAVAILABLE", "The registry does not answer.", { retryable: true });
  };
  return registryWith(registry, {
    resolve: async (...call) => (reach(), await registry.resolve(...call)),
    list: async (...call) => (reach(), await registry.list(...call)),
    hasBlob: async (...call) => (reach(), await registry.hasBlob(...call)),
    mountBlob: async (...call) => (reach(), await registry.mountBlob(...call)),
    readManifest: async (...call) => (reach(), await registry.readManifest(...call)),
    delete: async (...call) => {
      reach();
      await registry.delete(...call);
    },
    readBlob: async function* (...call) {
      reach();
      yield* registry.readBlob(...call);
    },
  });
}

describeMatrix({
  port: "Registry",
  suite: (mutate) => suite(mutate, TAKES_MS_MAX),
  unbroken: suite((registry) => registry),
  mutants: registryMutants,
});
