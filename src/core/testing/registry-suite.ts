import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { isDinpError, type DinpErrorCode } from "../model/errors.js";
import type { ByteStream, Descriptor, Registry } from "../ports/registry.js";
import type { ConformanceCase } from "./conformance.js";

/** A registry that is empty and that only this case uses. */
export interface RegistryUnderTest {
  readonly registry: Registry;
  /** Changes one byte of a stored blob or manifest behind the registry's back. Without it the cases of damage are left out. */
  readonly damage?: (repository: string, digest: string) => Promise<void>;
  readonly dispose: () => Promise<void>;
}

export interface RegistrySuiteOptions {
  readonly create: () => Promise<RegistryUnderTest>;
  /** Whether `create` gives `damage`. Default false. */
  readonly damages?: boolean;
}

const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar";
const HELLO = "apps/hello";
const OTHER = "apps/other";
const ABSENT = `sha256:${"0".repeat(64)}`;

/** The contract of the `Registry` port, case by case; each runs on a registry of its own. */
export function registrySuite(options: RegistrySuiteOptions): readonly ConformanceCase[] {
  const all = {
    ...blobCases,
    ...manifestCases,
    ...boundaryCases,
    ...(options.damages === true ? damageCases : {}),
  };
  return Object.entries(all).map(([name, check]) => ({
    name,
    run: async () => {
      const subject = await options.create();
      try {
        await check(subject.registry, subject);
      } finally {
        await subject.dispose();
      }
    },
  }));
}

type Cases = Readonly<Record<string, (registry: Registry, subject: RegistryUnderTest) => Promise<void>>>;

const blobCases: Cases = {
  "a blob comes back byte for byte, under its SHA-256": async (registry) => {
    const bytes = pattern(1_000_003);
    const written = await registry.writeBlob(HELLO, pieces(bytes, 65_537));
    assert.deepEqual(written, { digest: sha256(bytes), size: bytes.length });
    assert.equal(await registry.hasBlob(HELLO, written.digest), true);
    assert.deepEqual(await collect(registry.readBlob(HELLO, written.digest)), bytes);
  },

  "a blob can be empty": async (registry) => {
    const { digest, size } = await registry.writeBlob(HELLO, pieces(new Uint8Array(0), 1));
    assert.deepEqual({ digest, size }, { digest: sha256(new Uint8Array(0)), size: 0 });
    assert.equal((await collect(registry.readBlob(HELLO, digest))).length, 0);
  },

  "the same blob can be written again, also at the same time": async (registry) => {
    const bytes = pattern(100_000);
    const expected = sha256(bytes);
    const writes = [1, 2, 3, 4].map((step) =>
      registry.writeBlob(HELLO, pieces(bytes, 999 * step), { expected }),
    );
    for (const { digest } of await Promise.all(writes)) assert.equal(digest, expected);
    assert.deepEqual(await collect(registry.readBlob(HELLO, expected)), bytes);
  },

  "bytes that do not match the expected digest are refused and not stored": async (registry) => {
    const bytes = pattern(5_000);
    const expected = sha256(pattern(5_001));
    await rejects("DINP_DIGEST_MISMATCH", registry.writeBlob(HELLO, pieces(bytes, 1_000), { expected }));
    assert.equal(await registry.hasBlob(HELLO, expected), false);
    assert.equal(await registry.hasBlob(HELLO, sha256(bytes)), false);
  },

  "a stream that fails fails the write with its own error, and nothing is stored": async (registry) => {
    const bytes = pattern(200_000);
    const failure = new Error("the source broke");
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield* pieces(bytes, 50_000);
      throw failure;
    };
    await assert.rejects(registry.writeBlob(HELLO, source()), (error) => error === failure);
    assert.equal(await registry.hasBlob(HELLO, sha256(bytes)), false);
  },

  "nothing of a blob is visible before its stream has ended": async (registry) => {
    const bytes = pattern(300_000);
    const digest = sha256(bytes);
    const gate = deferred();
    const waiting = deferred();
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield* pieces(bytes, 100_000);
      waiting.resolve();
      await gate.promise;
    };
    const writing = registry.writeBlob(HELLO, source());
    await waiting.promise;
    const before = await registry.hasBlob(HELLO, digest);
    await rejects("DINP_IMAGE_NOT_FOUND", collect(registry.readBlob(HELLO, digest)));
    gate.resolve();
    await writing;
    assert.equal(before, false);
    assert.equal(await registry.hasBlob(HELLO, digest), true);
  },

  "a stream is read once, one piece at a time": async (registry) => {
    let iterators = 0;
    let asked = 0;
    let askedAtOnce = 0;
    const chunk = pattern(10_000);
    const source: ByteStream = {
      [Symbol.asyncIterator]() {
        iterators += 1;
        let left = 20;
        return {
          async next() {
            asked += 1;
            askedAtOnce = Math.max(askedAtOnce, asked);
            await Promise.resolve();
            asked -= 1;
            left -= 1;
            return left < 0 ? { done: true, value: undefined } : { done: false, value: chunk };
          },
        };
      },
    };
    const { size } = await registry.writeBlob(HELLO, source);
    assert.deepEqual({ size, iterators, askedAtOnce }, { size: 200_000, iterators: 1, askedAtOnce: 1 });
  },

  "an absent blob is not found": async (registry) => {
    assert.equal(await registry.hasBlob(HELLO, ABSENT), false);
    await rejects("DINP_IMAGE_NOT_FOUND", collect(registry.readBlob(HELLO, ABSENT)));
  },

  "a reader may leave a blob before its end": async (registry) => {
    const { digest } = await registry.writeBlob(HELLO, pieces(pattern(2_000_000), 100_000));
    for await (const chunk of registry.readBlob(HELLO, digest)) {
      assert.ok(chunk.length > 0);
      break;
    }
    assert.equal((await collect(registry.readBlob(HELLO, digest))).length, 2_000_000);
  },

  "a blob of one repository is in another only once it is mounted": async (registry) => {
    const bytes = pattern(50_000);
    const { digest } = await registry.writeBlob(HELLO, pieces(bytes, 10_000));
    assert.equal(await registry.hasBlob(OTHER, digest), false);
    assert.equal(await registry.mountBlob(OTHER, digest, HELLO), true);
    assert.equal(await registry.mountBlob(OTHER, digest, HELLO), true, "again");
    assert.equal(await registry.hasBlob(OTHER, digest), true);
    assert.deepEqual(await collect(registry.readBlob(OTHER, digest)), bytes);
  },

  "mounting what is not there says so": async (registry) => {
    assert.equal(await registry.mountBlob(OTHER, ABSENT, HELLO), false);
    assert.equal(await registry.hasBlob(OTHER, ABSENT), false);
  },
};

const manifestCases: Cases = {
  "a manifest comes back byte for byte, under its SHA-256": async (registry) => {
    const { bytes, descriptor } = await putImage(registry, HELLO, "one");
    assert.deepEqual(descriptor, { mediaType: MANIFEST_TYPE, digest: sha256(bytes), size: bytes.length });
    const read = await registry.readManifest(HELLO, descriptor.digest);
    assert.deepEqual(
      { ...read, bytes: [...read.bytes] },
      {
        mediaType: MANIFEST_TYPE,
        digest: descriptor.digest,
        bytes: [...bytes],
      },
    );
  },

  "a tag points to the manifest that was last written with it": async (registry) => {
    assert.equal(await registry.resolve(HELLO, "live"), null);
    const one = await putImage(registry, HELLO, "one", "live");
    assert.equal(await registry.resolve(HELLO, "live"), one.descriptor.digest);
    const two = await putImage(registry, HELLO, "two", "live");
    assert.equal(await registry.resolve(HELLO, "live"), two.descriptor.digest);
    const old = await registry.readManifest(HELLO, one.descriptor.digest);
    assert.deepEqual([...old.bytes], [...one.bytes]);
  },

  "writing a manifest again changes nothing": async (registry) => {
    const { bytes, descriptor } = await putImage(registry, HELLO, "one", "live");
    const again = await registry.writeManifest(HELLO, { mediaType: MANIFEST_TYPE, bytes }, { tag: "live" });
    assert.deepEqual(again, descriptor);
    await registry.writeManifest(HELLO, { mediaType: MANIFEST_TYPE, bytes });
    assert.deepEqual(await registry.list(HELLO), [{ tag: "live", digest: descriptor.digest }]);
  },

  "tags are listed by name with their digests": async (registry) => {
    assert.deepEqual(await registry.list(HELLO), []);
    const one = (await putImage(registry, HELLO, "one", "b")).descriptor.digest;
    const two = (await putImage(registry, HELLO, "two", "a")).descriptor.digest;
    await putImage(registry, HELLO, "one", "C");
    await putImage(registry, HELLO, "three");
    await putImage(registry, OTHER, "four", "elsewhere");
    assert.deepEqual(await registry.list(HELLO), [
      { tag: "C", digest: one },
      { tag: "a", digest: two },
      { tag: "b", digest: one },
    ]);
  },

  "a manifest belongs to its repository alone": async (registry) => {
    const { descriptor } = await putImage(registry, HELLO, "one", "live");
    await rejects("DINP_IMAGE_NOT_FOUND", registry.readManifest(OTHER, descriptor.digest));
    assert.equal(await registry.resolve(OTHER, "live"), null);
  },

  "a repository may lie under the name of another": async (registry) => {
    const outer = await putImage(registry, "apps", "outer", "live");
    const inner = await putImage(registry, "apps/blobs/sha256", "inner", "live");
    assert.equal(await registry.resolve("apps", "live"), outer.descriptor.digest);
    assert.equal(await registry.resolve("apps/blobs/sha256", "live"), inner.descriptor.digest);
    assert.equal(await registry.resolve("apps/blobs", "live"), null);
  },

  "a manifest that names a missing blob is refused": async (registry) => {
    const bytes = manifestOf({ mediaType: CONFIG_TYPE, digest: ABSENT, size: 2 }, []);
    await rejects(
      "DINP_INVALID",
      registry.writeManifest(HELLO, { mediaType: MANIFEST_TYPE, bytes }, { tag: "live" }),
    );
    assert.equal(await registry.resolve(HELLO, "live"), null);
  },

  "an absent manifest is not found": async (registry) => {
    await rejects("DINP_IMAGE_NOT_FOUND", registry.readManifest(HELLO, ABSENT));
    const { digest } = await registry.writeBlob(HELLO, pieces(pattern(100), 100));
    await rejects("DINP_IMAGE_NOT_FOUND", registry.readManifest(HELLO, digest), "a blob is no manifest");
  },

  "deleting takes the manifest and its tags away, and nothing else": async (registry) => {
    const one = await putImage(registry, HELLO, "one", "live");
    await registry.writeManifest(HELLO, { mediaType: MANIFEST_TYPE, bytes: one.bytes }, { tag: "also" });
    const two = await putImage(registry, HELLO, "two", "next", one.layer);
    const elsewhere = await putImage(registry, OTHER, "one", "live");
    await registry.delete(HELLO, one.descriptor.digest);
    await rejects("DINP_IMAGE_NOT_FOUND", registry.readManifest(HELLO, one.descriptor.digest));
    assert.deepEqual(await registry.list(HELLO), [{ tag: "next", digest: two.descriptor.digest }]);
    await registry.readManifest(HELLO, two.descriptor.digest);
    assert.equal((await collect(registry.readBlob(HELLO, one.layer.digest))).length, one.layer.size);
    await registry.readManifest(OTHER, elsewhere.descriptor.digest);
    assert.equal(
      (await collect(registry.readBlob(OTHER, elsewhere.layer.digest))).length,
      elsewhere.layer.size,
    );
  },

  "deleting is idempotent, and what was deleted can be written again": async (registry) => {
    await registry.delete(HELLO, ABSENT);
    const { descriptor } = await putImage(registry, HELLO, "one", "live");
    await registry.delete(HELLO, descriptor.digest);
    await registry.delete(HELLO, descriptor.digest);
    assert.equal(await registry.resolve(HELLO, "live"), null);
    const again = await putImage(registry, HELLO, "one", "live");
    assert.equal(await registry.resolve(HELLO, "live"), again.descriptor.digest);
    assert.equal((await collect(registry.readBlob(HELLO, again.layer.digest))).length, again.layer.size);
  },

  "a deletion does not take blobs from a push that is under way": async (registry) => {
    const one = await putImage(registry, HELLO, "one", "live");
    assert.equal(await registry.hasBlob(HELLO, one.layer.digest), true);
    await registry.delete(HELLO, one.descriptor.digest);
    const two = await putImage(registry, HELLO, "two", "live", one.layer);
    assert.equal(await registry.resolve(HELLO, "live"), two.descriptor.digest);
    assert.equal((await collect(registry.readBlob(HELLO, one.layer.digest))).length, one.layer.size);
  },

  "a mounted blob outlives the repository that it came from": async (registry) => {
    const one = await putImage(registry, HELLO, "one", "live");
    assert.equal(await registry.mountBlob(OTHER, one.layer.digest, HELLO), true);
    const two = await putImage(registry, OTHER, "two", "live", one.layer);
    await registry.delete(HELLO, one.descriptor.digest);
    assert.equal(await registry.resolve(OTHER, "live"), two.descriptor.digest);
    assert.equal((await collect(registry.readBlob(OTHER, one.layer.digest))).length, one.layer.size);
  },

  "writers at the same time lose nothing": async (registry) => {
    const names = Array.from({ length: 16 }, (_, index) => `v${String(index).padStart(2, "0")}`);
    const put = await Promise.all(names.map((name) => putImage(registry, HELLO, name, name)));
    const expected = names.map((tag, index) => ({ tag, digest: put[index]?.descriptor.digest }));
    assert.deepEqual(await registry.list(HELLO), expected);
    for (const { layer } of put) {
      assert.equal((await collect(registry.readBlob(HELLO, layer.digest))).length, layer.size);
    }
  },
};

const boundaryCases: Cases = {
  "a manifest has at most 4 MiB": async (registry) => {
    const bytes = new Uint8Array(4 * 1024 * 1024 + 1).fill(32);
    await rejects("DINP_TOO_LARGE", registry.writeManifest(HELLO, { mediaType: MANIFEST_TYPE, bytes }));
  },

  "names that are none are refused": async (registry) => {
    const repositories = [
      "",
      "..",
      "../x",
      "apps/../x",
      "/apps",
      "apps//x",
      "Apps",
      "a b",
      "apps/",
      "a\0",
      "a".repeat(300),
    ];
    for (const repository of repositories) {
      await rejects("DINP_INVALID", registry.resolve(repository, "live"), repository);
      await rejects("DINP_INVALID", registry.writeBlob(repository, pieces(pattern(10), 10)), repository);
    }
    for (const tag of ["", "../x", ".x", "-x", "a/b", "a b", "a\0", "a".repeat(129)]) {
      await rejects("DINP_INVALID", registry.resolve(HELLO, tag), tag);
    }
    const digests = [
      "",
      "sha256:",
      `sha256:${"0".repeat(63)}`,
      `sha256:${"A".repeat(64)}`,
      "sha256:../../x",
      `md5:${"0".repeat(32)}`,
    ];
    for (const digest of digests) {
      await rejects("DINP_INVALID", registry.hasBlob(HELLO, digest), digest);
      await rejects("DINP_INVALID", registry.readManifest(HELLO, digest), digest);
      await rejects(
        "DINP_INVALID",
        attempt(() => collect(registry.readBlob(HELLO, digest))),
        digest,
      );
      await rejects("DINP_INVALID", registry.mountBlob(OTHER, digest, HELLO), digest);
      await rejects("DINP_INVALID", registry.delete(HELLO, digest), digest);
    }
  },

  "a signal that has aborted ends every call": async (registry) => {
    const { descriptor, layer, bytes } = await putImage(registry, HELLO, "one", "live");
    const signal = AbortSignal.abort();
    const manifest = { mediaType: MANIFEST_TYPE, bytes };
    const calls: readonly (() => Promise<unknown>)[] = [
      () => registry.resolve(HELLO, "live", { signal }),
      () => registry.readManifest(HELLO, descriptor.digest, { signal }),
      () => registry.writeManifest(HELLO, manifest, { tag: "new", signal }),
      () => registry.hasBlob(HELLO, layer.digest, { signal }),
      () => collect(registry.readBlob(HELLO, layer.digest, { signal })),
      () => registry.writeBlob(HELLO, pieces(pattern(77), 10), { signal }),
      () => registry.mountBlob(OTHER, layer.digest, HELLO, { signal }),
      () => registry.list(HELLO, { signal }),
      () => registry.delete(HELLO, descriptor.digest, { signal }),
    ];
    for (const call of calls) await rejects("DINP_ABORTED", attempt(call));
    assert.deepEqual(await registry.list(HELLO), [{ tag: "live", digest: descriptor.digest }]);
    assert.equal(await registry.hasBlob(OTHER, layer.digest), false);
    assert.equal(await registry.hasBlob(HELLO, sha256(pattern(77))), false);
  },

  "an abort ends a write whose stream hangs": async (registry) => {
    const bytes = pattern(100_000);
    const waiting = deferred();
    const never = deferred();
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield* pieces(bytes, 10_000);
      waiting.resolve();
      await never.promise;
    };
    const stop = new AbortController();
    const writing = rejects("DINP_ABORTED", registry.writeBlob(HELLO, source(), { signal: stop.signal }));
    await waiting.promise;
    stop.abort();
    await writing;
    never.resolve();
    assert.equal(await registry.hasBlob(HELLO, sha256(bytes)), false);
  },

  "an abort ends a read": async (registry) => {
    const { digest } = await registry.writeBlob(HELLO, pieces(pattern(3_000_000), 500_000));
    const stop = new AbortController();
    const reading = async (): Promise<void> => {
      for await (const chunk of registry.readBlob(HELLO, digest, { signal: stop.signal })) {
        assert.ok(chunk.length > 0);
        stop.abort();
      }
    };
    await rejects("DINP_ABORTED", reading());
  },
};

const damageCases: Cases = {
  "a damaged blob is not believed": async (registry, { damage }) => {
    const { digest } = await registry.writeBlob(HELLO, pieces(pattern(1_000_000), 100_000));
    await damage?.(HELLO, digest);
    await rejects("DINP_DIGEST_MISMATCH", collect(registry.readBlob(HELLO, digest)));
  },

  "a damaged manifest is not believed": async (registry, { damage }) => {
    const { descriptor } = await putImage(registry, HELLO, "one", "live");
    await damage?.(HELLO, descriptor.digest);
    await rejects("DINP_DIGEST_MISMATCH", registry.readManifest(HELLO, descriptor.digest));
  },

  "writing a damaged blob again mends it": async (registry, { damage }) => {
    const bytes = pattern(10_000);
    const { digest } = await registry.writeBlob(HELLO, pieces(bytes, 1_000));
    await damage?.(HELLO, digest);
    await registry.writeBlob(HELLO, pieces(bytes, 1_000), { expected: digest });
    assert.deepEqual(await collect(registry.readBlob(HELLO, digest)), bytes);
  },
};

interface StoredImage {
  readonly bytes: Uint8Array;
  readonly descriptor: Descriptor;
  readonly layer: Descriptor;
}

/** Writes a small image whose content depends on `name`; its layer is `layer`, when one is given that is there. */
async function putImage(
  registry: Registry,
  repository: string,
  name: string,
  tag?: string,
  layer?: Descriptor,
): Promise<StoredImage> {
  const config = await putBlob(registry, repository, CONFIG_TYPE, `{"name":${JSON.stringify(name)}}`);
  const own = layer ?? (await putBlob(registry, repository, LAYER_TYPE, `layer of ${name} `.repeat(1_000)));
  const bytes = manifestOf(config, [own]);
  const manifest = { mediaType: MANIFEST_TYPE, bytes };
  const descriptor = await registry.writeManifest(repository, manifest, tag === undefined ? {} : { tag });
  return { bytes, descriptor, layer: own };
}

async function putBlob(
  registry: Registry,
  repository: string,
  mediaType: string,
  text: string,
): Promise<Descriptor> {
  const bytes = new TextEncoder().encode(text);
  const { digest, size } = await registry.writeBlob(repository, pieces(bytes, 4_096), {
    expected: sha256(bytes),
  });
  return { mediaType, digest, size };
}

function manifestOf(config: Descriptor, layers: readonly Descriptor[]): Uint8Array {
  const manifest = { schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers };
  return new TextEncoder().encode(JSON.stringify(manifest));
}

function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) bytes[i] = (i * 31 + (i >> 8)) & 0xff;
  return bytes;
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let offset = 0; offset < bytes.length; offset += size) {
    yield await Promise.resolve(bytes.subarray(offset, offset + size));
  }
}

async function collect(stream: ByteStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

async function attempt<T>(call: () => Promise<T>): Promise<T> {
  return await call();
}

async function rejects(code: DinpErrorCode, promise: Promise<unknown>, what?: string): Promise<void> {
  let outcome: unknown;
  try {
    outcome = await promise;
  } catch (error) {
    assert.ok(
      isDinpError(error, code),
      `expected ${code}${what === undefined ? "" : ` for ${what}`}, got ${String(error)}`,
    );
    return;
  }
  assert.fail(`expected ${code}${what === undefined ? "" : ` for ${what}`}, got ${JSON.stringify(outcome)}`);
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
