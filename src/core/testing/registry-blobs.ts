import assert from "node:assert/strict";
import { DinpError } from "../model/errors.js";
import type { ByteStream } from "../ports/registry.js";
import { later, rejectsWith } from "./conformance.js";
import type { RegistryCases } from "./registry-harness.js";
import {
  ABSENT,
  collect,
  deferred,
  HELLO,
  OTHER,
  pattern,
  pieces,
  putImage,
  sha256,
} from "./registry-images.js";

/** What the `Registry` port says of blobs. */
export const blobCases: RegistryCases = {
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
    await rejectsWith("DINP_DIGEST_MISMATCH", () =>
      registry.writeBlob(HELLO, pieces(bytes, 1_000), { expected }),
    );
    assert.equal(await registry.hasBlob(HELLO, expected), false);
    assert.equal(await registry.hasBlob(HELLO, sha256(bytes)), false);
  },

  "a write that is refused leaves what was there": async (registry) => {
    const bytes = pattern(5_000);
    const { digest } = await registry.writeBlob(HELLO, pieces(bytes, 1_000));
    const other = pieces(pattern(4_999), 1_000);
    await rejectsWith("DINP_DIGEST_MISMATCH", () => registry.writeBlob(HELLO, other, { expected: digest }));
    assert.deepEqual(await collect(registry.readBlob(HELLO, digest)), bytes);
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
    const writing = later(registry.writeBlob(HELLO, source()));
    await waiting.promise;
    const before = await registry.hasBlob(HELLO, digest);
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

  "a blob can come from a source that can be read again": async (registry) => {
    const bytes = pattern(3_000_000);
    let opened = 0;
    let ended = 0;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield* pieces(bytes, 100_000);
      ended = opened;
    };
    const written = await registry.writeBlob(HELLO, () => {
      opened += 1;
      return source();
    });
    assert.deepEqual(written, { digest: sha256(bytes), size: bytes.length });
    assert.ok(opened > 0);
    assert.equal(ended, opened, "the stream that was opened last was read to its end");
    assert.deepEqual(await collect(registry.readBlob(HELLO, written.digest)), bytes);
  },

  "a source that fails is not read again: its own error comes out": async (registry) => {
    const bytes = pattern(3_000_000);
    const failure = new DinpError("DINP_UNAVAILABLE", "The source broke.", { retryable: true });
    let opened = 0;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield* pieces(bytes, 100_000);
      throw failure;
    };
    const write = registry.writeBlob(HELLO, () => {
      opened += 1;
      return source();
    });
    await assert.rejects(write, (error) => error === failure);
    assert.equal(opened, 1);
    assert.equal(await registry.hasBlob(HELLO, sha256(bytes)), false);
  },

  "an absent blob is not found": async (registry) => {
    await rejectsWith("DINP_IMAGE_NOT_FOUND", () => collect(registry.readBlob(HELLO, ABSENT)));
    await registry.writeBlob(HELLO, pieces(pattern(100), 10));
    assert.equal(await registry.hasBlob(HELLO, ABSENT), false);
    await rejectsWith("DINP_IMAGE_NOT_FOUND", () => collect(registry.readBlob(HELLO, ABSENT)));
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

  "what a reader does with the bytes does not reach the registry": async (registry) => {
    const bytes = pattern(5_000);
    const { digest } = await registry.writeBlob(HELLO, pieces(bytes, 1_000));
    for await (const chunk of registry.readBlob(HELLO, digest)) chunk.fill(0);
    assert.deepEqual(await collect(registry.readBlob(HELLO, digest)), bytes);
    const image = await putImage(registry, HELLO, "one");
    (await registry.readManifest(HELLO, image.descriptor.digest)).bytes.fill(0);
    const again = await registry.readManifest(HELLO, image.descriptor.digest);
    assert.deepEqual([...again.bytes], [...image.bytes]);
  },
};
