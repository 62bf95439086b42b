import { createHash } from "node:crypto";
import { DinpError, openBytes, isDinpError, type ByteStream, type Registry } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { registryWith } from "./registry-with.js";

type Signalled = { readonly signal?: AbortSignal } | undefined;

/** The outcome of a call, or `instead` when it fails with the code. */
async function unless<T>(code: DinpError["code"], call: Promise<T>, instead: T): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (isDinpError(error, code)) return instead;
    throw error;
  }
}

async function* endingOn(code: DinpError["code"], bytes: ByteStream): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (error) {
    if (!isDinpError(error, code)) throw error;
  }
}

async function digestOf(bytes: ByteStream): Promise<{ readonly digest: string; readonly size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of bytes) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { digest: `sha256:${hash.digest("hex")}`, size };
}

/** Without the signal when it has aborted already. */
function deafBefore<T extends Signalled>(options: T): T | undefined {
  return options?.signal?.aborted === true ? undefined : options;
}

const CANNOT_TELL = "a registry that cannot tell rejects: it never says that nothing is there";
const ABORTED = "a signal that has aborted ends every call";
const NO_NAMES = "names that are none are refused";

/** Mutants of bounds, names, aborts, damage and a backing that is away. */
export const boundaryMutants: readonly Mutant<Registry>[] = [
  {
    name: "a manifest may be of any size",
    caughtBy: "a manifest has at most 4 MiB",
    mutate: (registry) =>
      registryWith(registry, {
        writeManifest: (repository, { mediaType, bytes }, options) =>
          unless("DINP_TOO_LARGE", registry.writeManifest(repository, { mediaType, bytes }, options), {
            mediaType,
            digest: "",
            size: bytes.length,
          }),
      }),
  },
  {
    name: "a tag that is none is one that nothing has",
    caughtBy: NO_NAMES,
    mutate: (registry) =>
      registryWith(registry, {
        resolve: (...call) => unless("DINP_INVALID", registry.resolve(...call), null),
      }),
  },
  {
    name: "a digest that is none is one that is not there",
    caughtBy: NO_NAMES,
    mutate: (registry) =>
      registryWith(registry, {
        hasBlob: (...call) => unless("DINP_INVALID", registry.hasBlob(...call), false),
      }),
  },
  {
    name: "an abort before a list is ignored",
    caughtBy: ABORTED,
    mutate: (registry) =>
      registryWith(registry, {
        list: (repository, options) => registry.list(repository, deafBefore(options)),
      }),
  },
  {
    name: "an abort before a deletion is ignored",
    caughtBy: ABORTED,
    mutate: (registry) =>
      registryWith(registry, {
        delete: (repository, digest, options) => registry.delete(repository, digest, deafBefore(options)),
      }),
  },
  {
    name: "an abort is ignored while a write waits for its stream",
    caughtBy: "an abort ends a write whose stream hangs",
    mutate: (registry) =>
      registryWith(registry, {
        writeBlob: (repository, bytes, options) => {
          const { signal, ...others } = options ?? {};
          return registry.writeBlob(repository, bytes, signal?.aborted === true ? options : others);
        },
      }),
  },
  {
    name: "an abort is ignored amid a read",
    caughtBy: "an abort ends a read",
    mutate: (registry) =>
      registryWith(registry, {
        readBlob: (repository, digest, options) =>
          registry.readBlob(repository, digest, options?.signal?.aborted === true ? options : undefined),
      }),
  },
  {
    name: "the digest of what is read is not checked",
    caughtBy: "a damaged blob is not believed",
    mutate: (registry) =>
      registryWith(registry, {
        readBlob: (...call) => endingOn("DINP_DIGEST_MISMATCH", registry.readBlob(...call)),
      }),
  },
  {
    name: "a damaged manifest is passed on",
    caughtBy: "a damaged manifest is not believed",
    mutate: (registry) =>
      registryWith(registry, {
        readManifest: (repository, digest, options) =>
          unless("DINP_DIGEST_MISMATCH", registry.readManifest(repository, digest, options), {
            mediaType: "",
            digest,
            bytes: new Uint8Array(0),
          }),
      }),
  },
  {
    name: "a blob that is there is not written again",
    caughtBy: "writing a damaged blob again mends it",
    mutate: (registry) =>
      registryWith(registry, {
        writeBlob: async (repository, bytes, options) => {
          const { expected } = options ?? {};
          if (expected === undefined || !(await registry.hasBlob(repository, expected)))
            return registry.writeBlob(repository, bytes, options);
          const written = await digestOf(openBytes(bytes));
          if (written.digest === expected) return written;
          throw new DinpError("DINP_DIGEST_MISMATCH", "It was not expected.");
        },
      }),
  },
  {
    name: "a list that cannot be read is shown as an empty one",
    caughtBy: CANNOT_TELL,
    mutate: (registry) =>
      registryWith(registry, { list: (...call) => unless("DINP_UNAVAILABLE", registry.list(...call), []) }),
  },
  {
    name: "a tag that cannot be read is shown as absent",
    caughtBy: CANNOT_TELL,
    mutate: (registry) =>
      registryWith(registry, {
        resolve: (...call) => unless("DINP_UNAVAILABLE", registry.resolve(...call), null),
      }),
  },
  {
    name: "a blob that cannot be looked for is shown as absent",
    caughtBy: CANNOT_TELL,
    mutate: (registry) =>
      registryWith(registry, {
        hasBlob: (...call) => unless("DINP_UNAVAILABLE", registry.hasBlob(...call), false),
      }),
  },
];
