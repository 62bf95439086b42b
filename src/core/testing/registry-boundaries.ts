import assert from "node:assert/strict";
import { later, rejectsWith } from "./conformance.js";
import type { RegistryCases } from "./registry-harness.js";
import {
  collect,
  deferred,
  HELLO,
  MANIFEST_TYPE,
  OTHER,
  pattern,
  pieces,
  putImage,
  sha256,
} from "./registry-images.js";

/** What the `Registry` port says of bounds, names and aborts. */
export const boundaryCases: RegistryCases = {
  "a manifest has at most 4 MiB": async (registry) => {
    const bytes = new Uint8Array(4 * 1024 * 1024 + 1).fill(32);
    await rejectsWith("DINP_TOO_LARGE", () =>
      registry.writeManifest(HELLO, { mediaType: MANIFEST_TYPE, bytes }),
    );
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
      await rejectsWith("DINP_INVALID", () => registry.resolve(repository, "live"), repository);
      await rejectsWith(
        "DINP_INVALID",
        () => registry.writeBlob(repository, pieces(pattern(10), 10)),
        repository,
      );
    }
    for (const tag of ["", "../x", ".x", "-x", "a/b", "a b", "a\0", "a".repeat(129)]) {
      await rejectsWith("DINP_INVALID", () => registry.resolve(HELLO, tag), tag);
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
      await rejectsWith("DINP_INVALID", () => registry.hasBlob(HELLO, digest), digest);
      await rejectsWith("DINP_INVALID", () => registry.readManifest(HELLO, digest), digest);
      await rejectsWith("DINP_INVALID", () => collect(registry.readBlob(HELLO, digest)), digest);
      await rejectsWith("DINP_INVALID", () => registry.mountBlob(OTHER, digest, HELLO), digest);
      await rejectsWith("DINP_INVALID", () => registry.delete(HELLO, digest), digest);
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
    for (const call of calls) await rejectsWith("DINP_ABORTED", call);
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
    const { signal } = stop;
    const writing = later(rejectsWith("DINP_ABORTED", () => registry.writeBlob(HELLO, source(), { signal })));
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
    await rejectsWith("DINP_ABORTED", reading);
  },
};
