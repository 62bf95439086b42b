import assert from "node:assert/strict";
import { rejectsWith } from "./conformance.js";
import { able, type RegistryCases } from "./registry-harness.js";
import { collect, HELLO, OTHER, pattern, pieces, putImage } from "./registry-images.js";

/** What the `Registry` port says of content that was damaged. */
export const damageCases: RegistryCases = {
  "a damaged blob is not believed": async (registry, subject) => {
    const { digest } = await registry.writeBlob(HELLO, pieces(pattern(1_000_000), 100_000));
    await able(subject, "damage")(HELLO, digest);
    await rejectsWith("DINP_DIGEST_MISMATCH", () => collect(registry.readBlob(HELLO, digest)));
  },

  "a damaged manifest is not believed": async (registry, subject) => {
    const { descriptor } = await putImage(registry, HELLO, "one", "live");
    await able(subject, "damage")(HELLO, descriptor.digest);
    await rejectsWith("DINP_DIGEST_MISMATCH", () => registry.readManifest(HELLO, descriptor.digest));
  },
};

/** What a registry may do besides. */
export const mendingCases: RegistryCases = {
  "writing a damaged blob again mends it": async (registry, subject) => {
    const bytes = pattern(10_000);
    const { digest } = await registry.writeBlob(HELLO, pieces(bytes, 1_000));
    await able(subject, "damage")(HELLO, digest);
    await registry.writeBlob(HELLO, pieces(bytes, 1_000), { expected: digest });
    assert.deepEqual(await collect(registry.readBlob(HELLO, digest)), bytes);
  },
};

/** What the `Registry` port says of a backing that cannot be read. */
export const cutCases: RegistryCases = {
  "a registry that cannot tell rejects: it never says that nothing is there": async (registry, subject) => {
    const { descriptor, layer } = await putImage(registry, HELLO, "one", "live");
    await able(subject, "cut")(HELLO);
    const calls: Readonly<Record<string, () => Promise<unknown>>> = {
      resolve: () => registry.resolve(HELLO, "live"),
      list: () => registry.list(HELLO),
      hasBlob: () => registry.hasBlob(HELLO, layer.digest),
      readManifest: () => registry.readManifest(HELLO, descriptor.digest),
      readBlob: () => collect(registry.readBlob(HELLO, layer.digest)),
      mountBlob: () => registry.mountBlob(OTHER, layer.digest, HELLO),
      delete: () => registry.delete(HELLO, descriptor.digest),
    };
    for (const [what, call] of Object.entries(calls)) await rejectsWith("DINP_UNAVAILABLE", call, what);
  },
};
