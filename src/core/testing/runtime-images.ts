import assert from "node:assert/strict";
import type { ImageRef } from "../model/records.js";
import type { RuntimeInstance } from "../ports/runtime.js";
import { rejectsWith, within } from "./conformance.js";
import { type RuntimeBench, runtimeCase, type RuntimeCase } from "./runtime-harness.js";

/** What a runtime promises of images. */
export const imageCases: readonly RuntimeCase[] = [
  runtimeCase("an image that is not there cannot be prepared", async ({ runtime, image }) => {
    await rejectsWith("DINP_IMAGE_NOT_FOUND", () => runtime.prepareImage(unknown(image)));
  }),

  runtimeCase("an image that is not prepared is not started", async (bench) => {
    const image = await bench.harness.makeImage({ "server.js": "" });
    for (const unprepared of [image, unknown(image)]) {
      const spec = await bench.spec({ image: unprepared });
      await rejectsWith("DINP_IMAGE_NOT_FOUND", () => bench.runtime.start(spec));
    }
    assert.deepEqual(await bench.list(), []);
  }),

  runtimeCase("an image is prepared for callers at the same time, and again, as once", async (bench) => {
    const image = await bench.harness.makeImage({ "a.txt": "shared" });
    const prepare = (): Promise<void> => within(bench.runtime.prepareImage(image), "an image");
    await Promise.all([prepare(), prepare(), prepare()]);
    const started = await tryToStart(bench, image);
    await prepare();
    assert.equal((await tryToStart(bench, image)).exit?.cause, "start");
    assert.ok((await bench.list()).some(({ instanceId }) => instanceId === started.instanceId));
  }),

  runtimeCase(
    "an image whose bytes are not what its digest says is refused, and is not prepared",
    async (bench) => {
      const { harness } = bench;
      assert.ok(harness.damage);
      const image = await harness.makeImage({ "a.txt": "genuine" });
      await harness.damage(image);
      await rejectsWith("DINP_DIGEST_MISMATCH", () => bench.runtime.prepareImage(image));
      await rejectsWith("DINP_IMAGE_NOT_FOUND", () => tryToStart(bench, image));
    },
    { requires: "damage" },
  ),

  runtimeCase("pruning keeps the images of the list", async (bench) => {
    const kept = await prepared(bench, "kept");
    await bench.runtime.pruneImages([kept]);
    assert.equal((await tryToStart(bench, kept)).exit?.cause, "start");
  }),

  runtimeCase("pruning keeps the images of instances, running or exited", async (bench) => {
    const image = await prepared(bench, "of an exited instance");
    await tryToStart(bench, image);
    const running = await bench.started();
    await bench.runtime.pruneImages([]);
    await bench.answer(running);
    for (const needed of [image, running.image])
      assert.equal((await tryToStart(bench, needed)).exit?.cause, "start");
  }),

  runtimeCase("pruning forgets what nothing needs, until it is prepared again", async (bench) => {
    const dropped = await prepared(bench, "dropped");
    await bench.runtime.pruneImages([bench.image]);
    await rejectsWith("DINP_IMAGE_NOT_FOUND", () => tryToStart(bench, dropped));
    await within(bench.runtime.prepareImage(dropped), "an image");
    assert.equal((await tryToStart(bench, dropped)).exit?.cause, "start");
  }),
];

function unknown(image: ImageRef): ImageRef {
  return { ...image, digest: `sha256:${"0".repeat(64)}` };
}

async function prepared({ harness, runtime }: RuntimeBench, text: string): Promise<ImageRef> {
  const image = await harness.makeImage({ "a.txt": text });
  await within(runtime.prepareImage(image), "an image");
  return image;
}

/** A start that asks for the image and runs nothing. */
async function tryToStart(bench: RuntimeBench, image: ImageRef): Promise<RuntimeInstance> {
  return bench.start(await bench.spec({ image, command: ["no-such-program"] }));
}
