import { createHash } from "node:crypto";
import { DinpError, openBytes, type ByteStream, type Registry } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { boundaryMutants } from "./registry-boundary-mutants.js";
import { tagMutants } from "./registry-tag-mutants.js";
import { registryWith } from "./registry-with.js";

const blobMutants: readonly Mutant<Registry>[] = [
  {
    name: "a blob's size is told in whole thousands",
    caughtBy: "a blob comes back byte for byte, under its SHA-256",
    mutate: (registry) =>
      registryWith(registry, {
        writeBlob: async (...call) => {
          const { digest, size } = await registry.writeBlob(...call);
          return { digest, size: size > 1_000_000 ? size - (size % 1_000) : size };
        },
      }),
  },
  {
    name: "an empty blob is read as missing",
    caughtBy: "a blob can be empty",
    mutate: (registry) =>
      registryWith(registry, {
        readBlob: async function* (...call) {
          let read = 0;
          for await (const chunk of registry.readBlob(...call)) {
            read += chunk.length;
            yield chunk;
          }
          if (read === 0) throw new DinpError("DINP_IMAGE_NOT_FOUND", "There is nothing.");
        },
      }),
  },
  {
    name: "a second writer of the same blob is turned away",
    caughtBy: "the same blob can be written again, also at the same time",
    mutate: (registry) => {
      const writing = new Set<string>();
      return registryWith(registry, {
        writeBlob: async (repository, bytes, options) => {
          const { expected } = options ?? {};
          if (expected === undefined) return registry.writeBlob(repository, bytes, options);
          if (writing.has(expected)) throw new DinpError("DINP_CONFLICT", "It is being written.");
          writing.add(expected);
          try {
            return await registry.writeBlob(repository, bytes, options);
          } finally {
            writing.delete(expected);
          }
        },
      });
    },
  },
  {
    name: "the digest of what is written is not checked",
    caughtBy: "bytes that do not match the expected digest are refused and not stored",
    mutate: (registry) =>
      registryWith(registry, {
        writeBlob: (repository, bytes, { signal } = {}) =>
          registry.writeBlob(repository, bytes, signal === undefined ? {} : { signal }),
      }),
  },
  {
    name: "bytes that do not match are refused, and stored under what they are",
    caughtBy: "bytes that do not match the expected digest are refused and not stored",
    mutate: (registry) =>
      registryWith(registry, {
        writeBlob: async (repository, bytes, { expected, ...options } = {}) => {
          const written = await registry.writeBlob(repository, bytes, options);
          if (expected === undefined || expected === written.digest) return written;
          throw new DinpError("DINP_DIGEST_MISMATCH", "It was not expected.");
        },
      }),
  },
  {
    name: "a refused write removes what was there",
    caughtBy: "a write that is refused leaves what was there",
    mutate: (registry) => {
      const lost = new Set<string>();
      return registryWith(registry, {
        writeBlob: async (repository, bytes, options) => {
          try {
            return await registry.writeBlob(repository, bytes, options);
          } catch (error) {
            if (options?.expected !== undefined) lost.add(options.expected);
            throw error;
          }
        },
        readBlob: async function* (repository, digest, options) {
          if (lost.has(digest)) throw new DinpError("DINP_IMAGE_NOT_FOUND", "There is no such blob.");
          yield* registry.readBlob(repository, digest, options);
        },
      });
    },
  },
  {
    name: "a stream that fails is taken for one that ended",
    caughtBy: "a stream that fails fails the write with its own error, and nothing is stored",
    mutate: (registry) => {
      const cutShort = async function* (bytes: ByteStream): ByteStream & AsyncGenerator<Uint8Array> {
        try {
          yield* bytes;
        } catch {
          return;
        }
      };
      return registryWith(registry, {
        writeBlob: (repository, bytes, options) =>
          registry.writeBlob(repository, typeof bytes === "function" ? bytes : cutShort(bytes), options),
      });
    },
  },
  {
    name: "a blob is visible while its stream is still open",
    caughtBy: "nothing of a blob is visible before its stream has ended",
    mutate: (registry) => {
      const partial = new Set<string>();
      return registryWith(registry, {
        writeBlob: async (repository, bytes, options) => {
          const hash = createHash("sha256");
          const mine: string[] = [];
          const watched = async function* (): AsyncGenerator<Uint8Array> {
            for await (const chunk of openBytes(bytes)) {
              hash.update(chunk);
              const digest = `sha256:${hash.copy().digest("hex")}`;
              mine.push(digest);
              partial.add(digest);
              yield chunk;
            }
          };
          return registry.writeBlob(repository, watched(), options).finally(() => {
            for (const digest of mine) partial.delete(digest);
          });
        },
        hasBlob: async (repository, digest, options) =>
          (await registry.hasBlob(repository, digest, options)) || partial.has(digest),
      });
    },
  },
  {
    name: "a source that can be read again is left after its first piece",
    caughtBy: "a blob can come from a source that can be read again",
    mutate: (registry) => {
      const first = async function* (bytes: ByteStream): AsyncGenerator<Uint8Array> {
        for await (const chunk of bytes) {
          yield chunk;
          return;
        }
      };
      return registryWith(registry, {
        writeBlob: (repository, bytes, options) =>
          registry.writeBlob(repository, typeof bytes === "function" ? first(bytes()) : bytes, options),
      });
    },
  },
  {
    name: "a source that can be read again is opened once more for nothing",
    caughtBy: "a blob can come from a source that can be read again",
    mutate: (registry) =>
      registryWith(registry, {
        writeBlob: async (repository, bytes, options) => {
          const written = await registry.writeBlob(repository, bytes, options);
          if (typeof bytes === "function") bytes();
          return written;
        },
      }),
  },
  {
    name: "a source that failed is opened again",
    caughtBy: "a source that fails is not read again: its own error comes out",
    mutate: (registry) =>
      registryWith(registry, {
        writeBlob: async (repository, bytes, options) => {
          try {
            return await registry.writeBlob(repository, bytes, options);
          } catch (error) {
            if (typeof bytes !== "function") throw error;
            return await registry.writeBlob(repository, bytes, options);
          }
        },
      }),
  },
  {
    name: "a stream is asked for two pieces at a time",
    caughtBy: "a stream is read once, one piece at a time",
    mutate: (registry) => {
      const inPairs = async function* (bytes: ByteStream): AsyncGenerator<Uint8Array> {
        const iterator = bytes[Symbol.asyncIterator]();
        for (;;) {
          for (const { done, value } of await Promise.all([iterator.next(), iterator.next()])) {
            if (done === true) return;
            yield value;
          }
        }
      };
      return registryWith(registry, {
        writeBlob: (repository, bytes, options) =>
          registry.writeBlob(
            repository,
            options?.signal === undefined ? inPairs(openBytes(bytes)) : bytes,
            options,
          ),
      });
    },
  },
  {
    name: "an absent blob beside others is read as empty",
    caughtBy: "an absent blob is not found",
    mutate: (registry) => {
      const known = new Set<string>();
      return registryWith(registry, {
        writeBlob: async (repository, ...rest) => {
          const written = await registry.writeBlob(repository, ...rest);
          known.add(repository);
          return written;
        },
        hasBlob: async (repository, digest, options) =>
          (await registry.hasBlob(repository, digest, options)) ||
          (known.has(repository) && digest.endsWith("0".repeat(64))),
      });
    },
  },
  {
    name: "a reader that leaves early keeps the blob for itself",
    caughtBy: "a reader may leave a blob before its end",
    mutate: (registry) => {
      const held = new Set<string>();
      return registryWith(registry, {
        readBlob: async function* (repository, digest, options) {
          if (held.has(digest)) throw new DinpError("DINP_UNAVAILABLE", "It is being read.");
          held.add(digest);
          try {
            yield* registry.readBlob(repository, digest, options);
          } catch (error) {
            held.delete(digest);
            throw error;
          }
          held.delete(digest);
        },
      });
    },
  },
  {
    name: "mounting what is mounted already says that it is not there",
    caughtBy: "a blob of one repository is in another only once it is mounted",
    mutate: (registry) =>
      registryWith(registry, {
        mountBlob: async (repository, digest, ...rest) =>
          !(await registry.hasBlob(repository, digest)) && registry.mountBlob(repository, digest, ...rest),
      }),
  },
  {
    name: "mounting always says that it went well",
    caughtBy: "mounting what is not there says so",
    mutate: (registry) =>
      registryWith(registry, {
        mountBlob: async (...call) => {
          await registry.mountBlob(...call);
          return true;
        },
      }),
  },
  {
    name: "readers share the registry's own bytes",
    caughtBy: "what a reader does with the bytes does not reach the registry",
    mutate: (registry) => {
      const manifests = new Map<string, ReturnType<Registry["readManifest"]>>();
      return registryWith(registry, {
        readManifest: async (repository, digest, options) => {
          const read = await registry.readManifest(repository, digest, options);
          const first = manifests.get(`${repository} ${digest}`) ?? Promise.resolve(read);
          manifests.set(`${repository} ${digest}`, first);
          return first;
        },
      });
    },
  },
];

/** Registries that break one sentence of the port's contract each. */
export const registryMutants: readonly Mutant<Registry>[] = [
  ...blobMutants,
  ...tagMutants,
  ...boundaryMutants,
];
