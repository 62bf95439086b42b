import assert from "node:assert/strict";
import { rejectsWith } from "./conformance.js";
import type { RegistryCases } from "./registry-harness.js";
import {
  ABSENT,
  collect,
  CONFIG_TYPE,
  HELLO,
  MANIFEST_TYPE,
  manifestOf,
  OTHER,
  pattern,
  pieces,
  putImage,
  sha256,
} from "./registry-images.js";

/** What the `Registry` port says of manifests, tags and deletion. */
export const manifestCases: RegistryCases = {
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
    await rejectsWith("DINP_IMAGE_NOT_FOUND", () => registry.readManifest(OTHER, descriptor.digest));
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
    await rejectsWith("DINP_INVALID", () =>
      registry.writeManifest(HELLO, { mediaType: MANIFEST_TYPE, bytes }, { tag: "live" }),
    );
    assert.equal(await registry.resolve(HELLO, "live"), null);
  },

  "a manifest that is not JSON, or of another type than it says, is refused": async (registry) => {
    const texts = ["", "{", "[]", '"text"', JSON.stringify({ mediaType: CONFIG_TYPE, layers: [] })];
    for (const text of texts) {
      const manifest = { mediaType: MANIFEST_TYPE, bytes: new TextEncoder().encode(text) };
      await rejectsWith("DINP_INVALID", () => registry.writeManifest(HELLO, manifest, { tag: "live" }), text);
    }
    assert.equal(await registry.resolve(HELLO, "live"), null);
  },

  "an absent manifest is not found": async (registry) => {
    await rejectsWith("DINP_IMAGE_NOT_FOUND", () => registry.readManifest(HELLO, ABSENT));
    const { digest } = await registry.writeBlob(HELLO, pieces(pattern(100), 100));
    await rejectsWith(
      "DINP_IMAGE_NOT_FOUND",
      () => registry.readManifest(HELLO, digest),
      "a blob is no manifest",
    );
  },

  "deleting takes the manifest and its tags away, and nothing else": async (registry) => {
    const one = await putImage(registry, HELLO, "one", "live");
    await registry.writeManifest(HELLO, { mediaType: MANIFEST_TYPE, bytes: one.bytes }, { tag: "also" });
    const two = await putImage(registry, HELLO, "two", "next", one.layer);
    const elsewhere = await putImage(registry, OTHER, "one", "live");
    await registry.delete(HELLO, one.descriptor.digest);
    await rejectsWith("DINP_IMAGE_NOT_FOUND", () => registry.readManifest(HELLO, one.descriptor.digest));
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
