import { DinpError, limits, type ByteStream, type ImageRef } from "@dinp/core";
import { createMemoryStateStore } from "@dinp/core/memory";
import { createSystemClock } from "@dinp/core/system";
import { describe, expect, it } from "vitest";
import { makeTarGz, stream } from "../build/support.js";
import { createWorld, nodeApp, type World } from "./world.js";

const hostile = "\u001b]0;owned\u0007\u001b[2J<br><script>alert(1)</script>\u202e.txt";

async function failBuild(world: World, bytes: ByteStream, app = "hello"): Promise<DinpError> {
  try {
    await world.platform.createBuild(app, { bytes }, world.write());
  } catch (error) {
    if (error instanceof DinpError) return error;
    throw error;
  }
  throw new Error("the build did not fail");
}

function buildIdOf({ details }: DinpError): string {
  const id = details["buildId"];
  return typeof id === "string" ? id : "";
}

async function hostileArchive(): Promise<ByteStream> {
  return stream(await makeTarGz([{ name: `../${hostile}`, content: "x" }]));
}

describe("builds", () => {
  it("keeps what the builder did, with digests, template, command and their reasons", async () => {
    await using world = await createWorld();
    const build = await world.build("hello", { ...nodeApp, Procfile: "web: node server.js" });
    const { lines } = await world.platform.getBuildLog("hello", build.id);
    const log = lines.join("\n");
    expect(log).toContain("received: 3 files, ");
    expect(log).toContain("template: node (recognized by package.json");
    expect(log).toContain("command: /bin/sh -c exec node server.js (from Procfile)");
    expect(log).toContain("requires: node");
    expect(log).toMatch(/^layer: sha256:[0-9a-f]{64}, [0-9]+ bytes$/m);
    expect(log).toContain(`image: apps/hello@${build.digest ?? ""}`);
    expect(build.image).toBe(`apps/hello@${build.digest ?? ""}`);
  });

  it("tells of a build that begins, and of its image before it has written anything of it down", async () => {
    const told: { readonly image: string; readonly state: string | undefined }[] = [];
    const store = createMemoryStateStore({ clock: createSystemClock() });
    const seen: Promise<void>[] = [];
    let begun = 0;
    const imageExpected = (image: ImageRef | null): void => {
      if (image === null) {
        begun += 1;
        return;
      }
      const { repository, digest } = image;
      seen.push(
        (async () => {
          const builds: string[] = [];
          for await (const { value } of store.list("build")) builds.push(value.state);
          told.push({ image: `${repository}@${digest}`, state: builds[0] });
        })(),
      );
    };
    await using world = await createWorld({ store, imageExpected });
    const build = await world.build("hello", nodeApp);
    await Promise.all(seen);
    expect(told).toEqual([{ image: build.image, state: "running" }]);
    expect(begun).toBe(1);
    await failBuild(world, await hostileArchive());
    expect({ begun, built: seen.length }).toEqual({ begun: 2, built: 1 });
  });

  it("keeps the log of a build that failed, with the reason and no character that a terminal obeys", async () => {
    await using world = await createWorld();
    const error = await failBuild(world, await hostileArchive());
    expect(error).toMatchObject({ code: "DINP_ARCHIVE_REFUSED" });
    const id = buildIdOf(error);
    expect(await world.platform.getBuild("hello", id)).toMatchObject({ state: "failed", app: "hello" });
    const { lines } = await world.platform.getBuildLog("hello", id);
    expect(lines.join("\n")).toMatch(/^failed after [0-9.]+ s: .*\(DINP_ARCHIVE_REFUSED\)$/m);
    expect(lines.join("\n")).toContain("<br><script>");
    expect(lines.join("")).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
  });

  it("bounds a log in lines and their length, and keeps its beginning and its end", async () => {
    const builder = {
      templates: [],
      build: ({ log }: { readonly log?: (line: string) => void }) => {
        for (let i = 0; i < 100_000; i += 1) log?.(`${String(i)} ${"x".repeat(5_000)}`);
        return Promise.reject(new DinpError("DINP_ARCHIVE_REFUSED", "It ends here."));
      },
    };
    await using world = await createWorld({ builder });
    const error = await failBuild(world, stream(new Uint8Array(10)));
    const { lines } = await world.platform.getBuildLog("hello", buildIdOf(error));
    expect(lines.length).toBeLessThanOrEqual(limits.buildLogLinesMax + 1);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(limits.buildLogLineMax);
    expect(lines[0]).toMatch(/^0 x/);
    expect(lines.some((line) => /^… 99801 lines left out …$/.test(line))).toBe(true);
    expect(lines.at(-1)).toMatch(/It ends here\. \(DINP_ARCHIVE_REFUSED\)$/);
  });

  it("lists builds newest first, by app and state, page by page", async () => {
    await using world = await createWorld();
    const ids: string[] = [];
    for (const app of ["a", "b", "a", "a"]) {
      ids.unshift((await world.build(app)).id);
      world.clock.offsetMs += 1_000;
    }
    await failBuild(world, stream(new Uint8Array(100)), "a");
    const page = (query: object) => world.platform.pageBuilds(query);
    expect((await page({ state: "succeeded" })).items.map(({ id }) => id)).toEqual(ids);
    expect((await page({ app: "b" })).items.map(({ id }) => id)).toEqual([ids[2]]);
    expect((await page({ state: "failed" })).items).toMatchObject([{ app: "a", state: "failed" }]);
    const first = await page({ app: "a", state: "succeeded", limit: 2 });
    expect(first.items.map(({ id }) => id)).toEqual([ids[0], ids[1]]);
    const cursor = first.next ?? "";
    const second = await page({ app: "a", state: "succeeded", limit: 2, cursor });
    expect(second).toMatchObject({ items: [{ id: ids[3] }], next: null });
    await expect(page({ app: "No App" })).rejects.toMatchObject({ code: "DINP_INVALID" });
    await expect(page({ limit: 0 })).rejects.toMatchObject({ code: "DINP_INVALID" });
  });

  it("trims old builds with their logs", async () => {
    await using world = await createWorld();
    const { id } = await world.build("hello");
    const build = (await world.records("build"))[0];
    if (build === undefined) throw new Error("no build");
    for (let i = 0; i < 60; i += 1) {
      const newer = `build-z${String(i).padStart(3, "0")}`;
      await world.put("build", { ...build, id: newer });
      await world.put("buildLog", { buildId: newer, head: ["x"], dropped: 0, tail: [] });
    }
    await world.platform.tidy();
    const kept = (await world.records("build")).map((each) => each.id);
    expect(kept).toHaveLength(50);
    expect(kept).not.toContain(id);
    expect((await world.records("buildLog")).map(({ buildId }) => buildId)).toEqual(kept);
    await expect(world.platform.getBuildLog("hello", id)).rejects.toMatchObject({ code: "DINP_NOT_FOUND" });
  });

  it("points a tag to the image, and refuses one that is none before it reads anything", async () => {
    await using world = await createWorld();
    const bytes: ByteStream = {
      [Symbol.asyncIterator]: () => {
        throw new Error("read");
      },
    };
    const refused = world.platform.createBuild("hello", { bytes, tag: "a b" }, world.write());
    await expect(refused).rejects.toMatchObject({ code: "DINP_INVALID" });
    expect(await world.records("build")).toEqual([]);
  });
});
