import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  createBuilder,
  openBytes,
  DinpError,
  readImage,
  type BaseSource,
  type ImageRef,
  type Registry,
} from "@dinp/core";
import { createNodeHasher, createSystemClock } from "@dinp/core/system";
import { parseYaml } from "@dinp/core/yaml";
import { describe, expect, it } from "vitest";
import { registryWith } from "../mutants/registry-with.js";
import { collect, makeTarGz, openWorkshop, stream, type Workshop } from "./support.js";

const repository = "apps/hello";

async function archive(text: string): Promise<AsyncIterable<Uint8Array>> {
  const files = Array.from({ length: 20 }, (_, file) => ({
    name: `files/${String(file)}.txt`,
    content: `${text} ${String(file)}`.repeat(500),
  }));
  return stream(await makeTarGz([{ name: "index.html", content: text }, ...files]), 500);
}

async function build(workshop: Workshop, text: string, tag = "latest", registry = workshop.registry) {
  const bases: BaseSource = {
    find: () => Promise.resolve(base),
    names: () => Promise.resolve(["base"]),
  };
  const base = await workshop.registry
    .resolve("bases/base", "v1")
    .then((digest): ImageRef | null => (digest === null ? null : { repository: "bases/base", digest }));
  const { archive: format } = workshop;
  const builder = createBuilder({
    ...{ registry, archive: format, hasher: createNodeHasher(), clock: createSystemClock(), parseYaml },
    bases,
  });
  return builder.build({ repository, bytes: await archive(text), tag });
}

/** Reads all of an image; its registry checks each digest. */
async function readWhole(workshop: Workshop, image: ImageRef): Promise<void> {
  const { layers } = await readImage(workshop.registry, image);
  for (const { digest } of layers) await collect(workshop.registry.readBlob(image.repository, digest));
}

async function manifestsOf(workshop: Workshop): Promise<unknown[]> {
  const folder = join(workshop.dir, "registry/repositories", "apps+hello");
  const text = await readFile(join(folder, "index.json"), "utf8").catch(() => '{"manifests":[]}');
  return (JSON.parse(text) as { manifests: unknown[] }).manifests;
}

async function prepareBase(workshop: Workshop): Promise<void> {
  const made = await workshop.builder.build({ repository, bytes: await archive("base") });
  const { manifest, config, layers } = await readImage(workshop.registry, made.image);
  for (const { digest } of [config, ...layers])
    await workshop.registry.mountBlob("bases/base", digest, repository);
  await workshop.registry.writeManifest("bases/base", manifest, { tag: "v1" });
  await workshop.registry.delete(repository, made.image.digest);
}

describe("builds of one app at the same time", () => {
  it("under one tag are all whole, and the tag points to one of them", async () => {
    await using workshop = await openWorkshop();
    const texts = ["a", "b", "c", "same", "same", "same"];
    const built = await Promise.all(texts.map((text) => build(workshop, text)));
    const digests = built.map(({ image }) => image.digest);
    expect(new Set(digests).size).toBe(4);
    for (const { image } of built) await readWhole(workshop, image);
    expect(digests).toContain(await workshop.registry.resolve(repository, "latest"));
    expect(await manifestsOf(workshop)).toHaveLength(4);
  });
});

type Method = "writeBlob" | "mountBlob" | "writeManifest" | "readManifest";

/** Dies at the `at`-th call of the methods that a build uses: before it, in the middle of its bytes, or after its effect. */
function dying(
  registry: Registry,
  at: number,
  when: "before" | "within" | "after",
): Registry & { readonly calls: number } {
  let calls = 0;
  const down = (): DinpError =>
    new DinpError("DINP_UNAVAILABLE", "The registry is down.", { retryable: true });
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    calls += 1;
    if (calls > at || (calls === at && when !== "after")) throw down();
    const answer = await work();
    if (calls === at) throw down();
    return answer;
  };
  async function* broken(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      yield chunk.subarray(0, chunk.length / 2);
      throw down();
    }
  }
  const methods: Pick<Registry, Method> = {
    writeBlob: (name, bytes, options) => {
      if (calls + 1 !== at || when !== "within") return call(() => registry.writeBlob(name, bytes, options));
      calls += 1;
      return registry.writeBlob(name, broken(openBytes(bytes)), options);
    },
    mountBlob: (...call_) => call(() => registry.mountBlob(...call_)),
    writeManifest: (...call_) => call(() => registry.writeManifest(...call_)),
    readManifest: (...call_) => call(() => registry.readManifest(...call_)),
  };
  return Object.defineProperty(Object.assign(registryWith(registry, methods), { calls: 0 }), "calls", {
    get: () => calls,
  });
}

describe("a registry that dies during a push", () => {
  for (const when of ["before", "within", "after"] as const) {
    it(`fails the build clearly and shows nothing of it, whichever call it dies at (${when})`, async () => {
      await using workshop = await openWorkshop();
      await prepareBase(workshop);
      const counter = dying(workshop.registry, Infinity, when);
      const healthy = await build(workshop, "counted", "counted", counter);
      const before = await manifestsOf(workshop);
      expect(counter.calls).toBeGreaterThanOrEqual(5);
      for (let at = 1; at <= counter.calls; at += 1) {
        const text = `try ${String(at)}`;
        const registry = dying(workshop.registry, at, when);
        await expect(build(workshop, text, "tried", registry), text).rejects.toMatchObject({
          code: "DINP_UNAVAILABLE",
          message: "The registry is down.",
        });
        const isLastAfter = when === "after" && at === counter.calls;
        // After its last effect the image is there, whole: only the answer was lost.
        if (isLastAfter) {
          const digest = (await workshop.registry.resolve(repository, "tried")) ?? "";
          await readWhole(workshop, { repository, digest });
          continue;
        }
        expect(await workshop.registry.resolve(repository, "tried"), text).toBeNull();
        expect(await manifestsOf(workshop), text).toEqual(before);
      }
      const { image } = await build(workshop, "try 1", "tried");
      await readWhole(workshop, image);
      await readWhole(workshop, healthy.image);
      expect(await readdir(join(workshop.dir, "registry/uploads"))).toEqual([]);
    });
  }
});
