import {
  createBaseSource,
  createBuilder,
  createImages,
  DinpError,
  trimBuilds,
  trimReleases,
  type Images,
  type Registry,
} from "@dinp/core";
import { createMemoryStateStore } from "@dinp/core/memory";
import { createNodeHasher, createSystemClock } from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";
import { describe, expect, it } from "vitest";
import { clientOf, ownPath } from "../adapters/oci-support/clients.js";
import { describeWithServices } from "../support/services.js";
import { createWorld, type World } from "./world.js";

/** Pushes `count` versions of an app, each of which runs well; gives their digests, oldest first. */
async function pushVersions(world: World, app: string, count: number): Promise<string[]> {
  const digests: string[] = [];
  for (let version = 1; version <= count; version += 1) {
    await world.push(app, { "index.html": `version ${String(version)} of ${app}` });
    await world.endRollout(app, "complete");
    digests.push((await world.platform.getApp(app)).digest ?? "");
  }
  return digests;
}

async function whichAreThere(
  registry: Registry,
  app: string,
  digests: readonly string[],
): Promise<boolean[]> {
  return Promise.all(
    digests.map((digest) =>
      registry.readManifest(`apps/${app}`, digest).then(
        () => true,
        () => false,
      ),
    ),
  );
}

async function trimTo(world: World, keep: number): Promise<void> {
  await trimBuilds(world.store, { keep });
  await trimReleases(world.store, { keep });
}

/** A world whose images are in this registry. */
async function worldWith(registry: Registry, change: (images: Images) => Images = (images) => images) {
  const store = createMemoryStateStore({ clock: createSystemClock() });
  const archive = createTarArchive();
  const builder = createBuilder({
    ...{ registry, archive, parseYaml, bases: createBaseSource(store) },
    ...{ hasher: createNodeHasher(), clock: createSystemClock() },
  });
  return createWorld({ store, builder, images: change(createImages({ registry, archive })) });
}

describe("images that nothing can go back to", () => {
  it("are deleted after their releases and builds; what is current, kept, tagged or another app's stays", async () => {
    await using world = await createWorld();
    const digests = await pushVersions(world, "hello", 6);
    const [first = ""] = digests;
    await world.platform.createRelease("other", { image: `apps/hello@${first}` }, world.write());
    const { mediaType, bytes } = await world.registry.readManifest("apps/hello", digests[1] ?? "");
    await world.registry.writeManifest("apps/hello", { mediaType, bytes }, { tag: "stable" });

    await world.platform.tidy();
    expect(await whichAreThere(world.registry, "hello", digests)).toEqual(Array(6).fill(true));

    await trimTo(world, 2);
    await world.platform.tidy();
    expect(await whichAreThere(world.registry, "hello", digests)).toEqual([
      false,
      true,
      false,
      false,
      true,
      true,
    ]);
    expect(await world.records("imageDiscard")).toEqual([]);
    expect(await whichAreThere(world.registry, "other", [first])).toEqual([true]);
    const config = await world.platform.rollback("hello", {}, world.write());
    expect(config.digest).toBe(digests[4]);
    await world.platform.tidy();
    expect(await whichAreThere(world.registry, "hello", digests.slice(4))).toEqual([true, true]);
  });

  it("stay as long as a build that can be released has them, and go with their app", async () => {
    await using world = await createWorld();
    const digests = await pushVersions(world, "hello", 4);
    await trimReleases(world.store, { keep: 1 });
    await world.platform.tidy();
    expect(await whichAreThere(world.registry, "hello", digests)).toEqual(Array(4).fill(true));
    await world.platform.deleteApp("hello", {}, world.write());
    await world.platform.tidy();
    expect(await whichAreThere(world.registry, "hello", digests)).toEqual(Array(4).fill(true));
    await trimBuilds(world.store, { keep: 0 });
    await world.platform.tidy();
    expect(await whichAreThere(world.registry, "hello", digests)).toEqual(Array(4).fill(false));
  });

  it("that are pushed again before they went are kept", async () => {
    await using world = await createWorld();
    const digests = await pushVersions(world, "hello", 4);
    await trimTo(world, 1);
    expect((await world.records("imageDiscard")).length).toBeGreaterThan(0);
    const again = await world.push("hello", { "index.html": "version 1 of hello" });
    expect(again).toBe(5);
    await world.platform.tidy();
    expect((await world.platform.getApp("hello")).digest).toBe(digests[0]);
    expect((await whichAreThere(world.registry, "hello", digests))[0]).toBe(true);
  });

  it("are left where something is being made, and deleted when that is done", async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await using inner = await createWorld();
    let isBuilding = (): void => undefined;
    const building = new Promise<void>((resolve) => {
      isBuilding = resolve;
    });
    const digests = await pushVersions(inner, "hello", 4);
    await trimTo(inner, 1);
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      isBuilding();
      await held;
      yield await Promise.reject<Uint8Array>(new Error("the client went"));
    };
    const build = inner.platform
      .createBuild("hello", { bytes: bytes() }, inner.write())
      .catch((error: unknown) => error);
    await building;
    await inner.platform.tidy();
    expect(await whichAreThere(inner.registry, "hello", digests)).toEqual(Array(4).fill(true));
    release();
    expect(await build).toBeInstanceOf(DinpError);
    await inner.platform.tidy();
    // The last good one can be gone back to.
    expect(await whichAreThere(inner.registry, "hello", digests)).toEqual([false, false, true, true]);
  });

  it("wait while the registry is away, and are given up where it lets nobody delete", async () => {
    let answer: DinpError | null = new DinpError("DINP_UNAVAILABLE", "away", { retryable: true });
    await using base = await createWorld();
    await using world = await worldWith(base.registry, (images) => ({
      ...bound(images),
      discard: (image, options) =>
        answer === null ? images.discard(image, options) : Promise.reject(answer),
    }));
    const digests = await pushVersions(world, "hello", 5);
    await trimTo(world, 1);
    const waiting = (await world.records("imageDiscard")).length;
    await world.platform.tidy();
    expect(await world.records("imageDiscard")).toHaveLength(waiting);
    expect(world.logger.lines.filter((line) => line.includes("could not be deleted"))).toHaveLength(1);
    answer = new DinpError("DINP_FORBIDDEN", "nobody may");
    await world.platform.tidy();
    expect(await world.records("imageDiscard")).toEqual([]);
    expect(await whichAreThere(base.registry, "hello", digests)).toEqual(Array(5).fill(true));
  });
});

function bound(images: Images): Images {
  return {
    find: (...args) => images.find(...args),
    forNodes: (...args) => images.forNodes(...args),
    describe: (...args) => images.describe(...args),
    appContent: (...args) => images.appContent(...args),
    adopt: (...args) => images.adopt(...args),
    copy: (...args) => images.copy(...args),
    importArchive: (...args) => images.importArchive(...args),
    of: (...args) => images.of(...args),
    tagged: (...args) => images.tagged(...args),
    discard: (...args) => images.discard(...args),
  };
}

describeWithServices(["registry"], "images that nothing can go back to, in a registry", (places) => {
  it("are deleted there, and what another app has of them stays whole", async () => {
    const registry = clientOf(`${places.DINP_TEST_REGISTRY}/${ownPath()}`);
    try {
      await using world = await worldWith(registry);
      const digests = await pushVersions(world, "hello", 4);
      const [first = ""] = digests;
      await world.platform.createRelease("other", { image: `apps/hello@${first}` }, world.write());
      await trimTo(world, 1);
      await world.platform.tidy();
      expect(await whichAreThere(registry, "hello", digests)).toEqual([false, false, true, true]);
      expect(await whichAreThere(registry, "other", [first])).toEqual([true]);
      const { bytes } = await registry.readManifest("apps/other", first);
      const { layers } = JSON.parse(new TextDecoder().decode(bytes)) as {
        readonly layers: readonly { readonly digest: string }[];
      };
      for (const { digest } of layers) expect(await registry.hasBlob("apps/other", digest)).toBe(true);
    } finally {
      await registry.close();
    }
  });
});
