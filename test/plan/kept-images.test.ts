import { keptImages } from "@dinp/core";
import { describe, expect, test } from "vitest";
import { World } from "./world.js";

function image(app: string, number: number): { readonly repository: string; readonly digest: string } {
  return { repository: `apps/${app}`, digest: `sha256:${String(number).padStart(64, "0")}` };
}

/** An app with releases of an image each, the newest of which runs on the node. */
function deployed(world: World, app: string, releases: number, nodeId: string): void {
  for (let number = 1; number <= releases; number += 1)
    world.release(app, number, { image: image(app, number) });
  world.app(app, 1, { currentRelease: `${app}-r${String(releases)}` });
  placed(world, app, releases, nodeId);
}

function placed(world: World, appId: string, number: number, nodeId: string): void {
  world.put("placement", {
    ...{ instanceId: `${appId}-${String(number)}`, appId, releaseId: `${appId}-r${String(number)}`, nodeId },
    ...{ desired: "running", reason: "", createdAt: 0, changedAt: 0 },
  });
}

function digests(world: World, nodeId: string): string[] | undefined {
  return keptImages(world.index, nodeId)
    ?.map(({ repository, digest }) => `${repository} ${String(Number(digest.slice(-10)))}`)
    .sort();
}

describe("the images that a node keeps", () => {
  test("are those of its apps' newest ten releases, and of no other node's apps", () => {
    const world = new World();
    deployed(world, "blog", 12, "a");
    deployed(world, "shop", 2, "b");
    const newest = Array.from({ length: 10 }, (_, i) => `apps/blog ${String(i + 3)}`);
    expect(digests(world, "a")).toEqual(newest.sort());
    expect(digests(world, "b")).toEqual(["apps/shop 1", "apps/shop 2"]);
    expect(digests(world, "c")).toEqual([]);
  });

  test("include what is placed and what is current, however old", () => {
    const world = new World();
    deployed(world, "blog", 14, "a");
    placed(world, "blog", 1, "a");
    world.app("blog", 1, { currentRelease: "blog-r2" });
    expect(digests(world, "a")).toEqual(
      expect.arrayContaining(["apps/blog 1", "apps/blog 2", "apps/blog 14"]),
    );
    expect(digests(world, "a")).toHaveLength(12);
  });

  test("are not known while a placement's release is not", () => {
    const world = new World();
    deployed(world, "blog", 2, "a");
    world.remove("release", "blog-r2");
    expect(keptImages(world.index, "a")).toBeNull();
  });
});
