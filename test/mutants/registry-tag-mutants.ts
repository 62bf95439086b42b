import { DinpError, isDinpError, referencedDigests, type Descriptor, type Registry } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { registryWith } from "./registry-with.js";

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder().decode(bytes));
    return true;
  } catch {
    return false;
  }
}

/** Manifests that name missing blobs are refused, and others than JSON, unless `accept` takes what is refused. */
function accepting(registry: Registry, accept: (bytes: Uint8Array) => boolean): Registry {
  return registryWith(registry, {
    writeManifest: async (repository, manifest, options) => {
      try {
        return await registry.writeManifest(repository, manifest, options);
      } catch (error) {
        if (!isDinpError(error, "DINP_INVALID") || !accept(manifest.bytes)) throw error;
        return { mediaType: manifest.mediaType, digest: "", size: manifest.bytes.length };
      }
    },
  });
}

/** Tells `onDeleted` of the blobs that only the deleted manifest named. */
function watchingOrphans(
  registry: Registry,
  onDeleted: (repository: string, orphans: readonly string[]) => void,
): Registry {
  const named = new Map<string, Map<string, readonly string[]>>();
  return registryWith(registry, {
    writeManifest: async (repository, manifest, options) => {
      const written = await registry.writeManifest(repository, manifest, options);
      const inRepository = named.get(repository) ?? new Map<string, readonly string[]>();
      named.set(repository, inRepository);
      inRepository.set(written.digest, referencedDigests(manifest.mediaType, manifest.bytes));
      return written;
    },
    delete: async (repository, digest, options) => {
      await registry.delete(repository, digest, options);
      const inRepository = named.get(repository);
      const gone = inRepository?.get(digest) ?? [];
      inRepository?.delete(digest);
      const needed = new Set([...(inRepository?.values() ?? [])].flat());
      onDeleted(
        repository,
        gone.filter((blob) => !needed.has(blob)),
      );
    },
  });
}

function notThere(): DinpError {
  return new DinpError("DINP_IMAGE_NOT_FOUND", "It is not there.");
}

/** Mutants of manifests, tags and deletion. */
export const tagMutants: readonly Mutant<Registry>[] = [
  {
    name: "the media type is forgotten",
    caughtBy: "a manifest comes back byte for byte, under its SHA-256",
    mutate: (registry) =>
      registryWith(registry, {
        readManifest: async (...call) => ({
          ...(await registry.readManifest(...call)),
          mediaType: "application/octet-stream",
        }),
      }),
  },
  {
    name: "a tag never moves",
    caughtBy: "a tag points to the manifest that was last written with it",
    mutate: (registry) =>
      registryWith(registry, {
        writeManifest: async (repository, manifest, options = {}) => {
          const { tag, ...rest } = options;
          const taken = tag !== undefined && (await registry.resolve(repository, tag)) !== null;
          return registry.writeManifest(repository, manifest, taken ? rest : options);
        },
      }),
  },
  {
    name: "writing a manifest without a tag takes its tags away",
    caughtBy: "writing a manifest again changes nothing",
    mutate: (registry) => {
      const untagged = new Set<string>();
      return registryWith(registry, {
        writeManifest: async (repository, manifest, options) => {
          const written = await registry.writeManifest(repository, manifest, options);
          if (options?.tag === undefined) untagged.add(written.digest);
          else untagged.delete(written.digest);
          return written;
        },
        list: async (...call) => (await registry.list(...call)).filter(({ digest }) => !untagged.has(digest)),
      });
    },
  },
  {
    name: "tags are listed in the order of a dictionary",
    caughtBy: "tags are listed by name with their digests",
    mutate: (registry) =>
      registryWith(registry, {
        list: async (...call) =>
          [...(await registry.list(...call))].sort((a, b) => a.tag.localeCompare(b.tag, "en")),
      }),
  },
  {
    name: "a manifest can be read from every repository",
    caughtBy: "a manifest belongs to its repository alone",
    mutate: (registry) => {
      const homes = new Map<string, string>();
      return registryWith(registry, {
        writeManifest: async (repository, ...rest) => {
          const written = await registry.writeManifest(repository, ...rest);
          homes.set(written.digest, repository);
          return written;
        },
        readManifest: (repository, digest, options) =>
          registry.readManifest(homes.get(digest) ?? repository, digest, options),
        delete: async (repository, digest, options) => {
          await registry.delete(repository, digest, options);
          homes.delete(digest);
        },
      });
    },
  },
  {
    name: "a repository shows the tags of the one above it",
    caughtBy: "a repository may lie under the name of another",
    mutate: (registry) =>
      registryWith(registry, {
        resolve: async (repository, tag, options) => {
          const own = await registry.resolve(repository, tag, options);
          const end = repository.lastIndexOf("/");
          return own ?? (end < 0 ? null : registry.resolve(repository.slice(0, end), tag, options));
        },
      }),
  },
  {
    name: "a manifest may name blobs that are missing",
    caughtBy: "a manifest that names a missing blob is refused",
    mutate: (registry) =>
      accepting(registry, (bytes) => new TextDecoder().decode(bytes).includes('"digest"')),
  },
  {
    name: "a manifest need not be JSON",
    caughtBy: "a manifest that is not JSON, or of another type than it says, is refused",
    mutate: (registry) => accepting(registry, (bytes) => !isJson(bytes)),
  },
  {
    name: "a blob can be read as a manifest",
    caughtBy: "an absent manifest is not found",
    mutate: (registry) => {
      const blobs = new Set<string>();
      return registryWith(registry, {
        writeBlob: async (...call) => {
          const written = await registry.writeBlob(...call);
          blobs.add(written.digest);
          return written;
        },
        readManifest: async (repository, digest, options) => {
          if (!blobs.has(digest)) return registry.readManifest(repository, digest, options);
          const chunks: Uint8Array[] = [];
          for await (const chunk of registry.readBlob(repository, digest, options)) chunks.push(chunk);
          return { mediaType: "", digest, bytes: new Uint8Array(Buffer.concat(chunks)) };
        },
      });
    },
  },
  {
    name: "the tags of a deleted manifest stay in the list",
    caughtBy: "deleting takes the manifest and its tags away, and nothing else",
    mutate: (registry) => {
      const stale: { readonly tag: string; readonly digest: string }[] = [];
      return registryWith(registry, {
        delete: async (repository, digest, options) => {
          const tags = await registry.list(repository, options);
          await registry.delete(repository, digest, options);
          stale.push(...tags.filter((entry) => entry.digest === digest));
        },
        list: async (...call) => [...(await registry.list(...call)), ...stale],
      });
    },
  },
  {
    name: "deleting an image deletes it in every repository",
    caughtBy: "deleting takes the manifest and its tags away, and nothing else",
    mutate: (registry) => {
      const repositories = new Set<string>();
      return registryWith(registry, {
        writeManifest: (repository, ...rest) => {
          repositories.add(repository);
          return registry.writeManifest(repository, ...rest);
        },
        delete: async (repository, digest, options) => {
          for (const each of new Set([repository, ...repositories])) {
            await registry.delete(each, digest, options);
          }
        },
      });
    },
  },
  {
    name: "a second deletion finds nothing to delete",
    caughtBy: "deleting is idempotent, and what was deleted can be written again",
    mutate: (registry) =>
      registryWith(registry, {
        delete: async (repository, digest, options) => {
          await registry.readManifest(repository, digest, options);
          await registry.delete(repository, digest, options);
        },
      }),
  },
  {
    name: "a deletion takes the blobs that nothing names any more at once",
    caughtBy: "a deletion does not take blobs from a push that is under way",
    mutate: (registry) => {
      const gone = new Set<string>();
      const keyOf = (repository: string, digest: string): string => `${repository} ${digest}`;
      const watched = watchingOrphans(registry, (repository, orphans) => {
        for (const digest of orphans) gone.add(keyOf(repository, digest));
      });
      return registryWith(watched, {
        writeBlob: async (repository, ...rest) => {
          const written = await watched.writeBlob(repository, ...rest);
          gone.delete(keyOf(repository, written.digest));
          return written;
        },
        writeManifest: async (repository, manifest, options) => {
          const text = new TextDecoder().decode(manifest.bytes);
          for (const key of gone) {
            const [home = "", digest = ""] = key.split(" ");
            if (home === repository && text.includes(digest))
              throw new DinpError("DINP_INVALID", "A blob is missing.");
          }
          return watched.writeManifest(repository, manifest, options);
        },
        readBlob: async function* (repository, digest, options) {
          if (gone.has(keyOf(repository, digest))) throw notThere();
          yield* watched.readBlob(repository, digest, options);
        },
      });
    },
  },
  {
    name: "a mounted blob is a pointer to where it came from",
    caughtBy: "a mounted blob outlives the repository that it came from",
    mutate: (registry) => {
      const mounted = new Map<string, string>();
      const broken = new Set<string>();
      const watched = watchingOrphans(registry, (repository, orphans) => {
        for (const digest of orphans) if (mounted.get(digest) === repository) broken.add(digest);
      });
      return registryWith(watched, {
        mountBlob: (repository, digest, from, options) => {
          mounted.set(digest, from);
          return watched.mountBlob(repository, digest, from, options);
        },
        readBlob: async function* (repository, digest, options) {
          if (broken.has(digest)) throw notThere();
          yield* watched.readBlob(repository, digest, options);
        },
      });
    },
  },
  {
    name: "of two writers at the same time one loses its tag",
    caughtBy: "writers at the same time lose nothing",
    mutate: (registry) => {
      let writing = 0;
      return registryWith(registry, {
        writeManifest: async (repository, manifest, options = {}): Promise<Descriptor> => {
          writing += 1;
          try {
            return await registry.writeManifest(repository, manifest, writing > 1 ? {} : options);
          } finally {
            writing -= 1;
          }
        },
      });
    },
  },
];
