import type { BuildView, ReleaseResult } from "@dinp/core/client";
import { makeTar, makeTarGz } from "../build/support.js";
import { newDockerSave, savedImage } from "../platform/base-archives.js";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hostBases } from "../../src/bin/host/host-bases.js";
import { describe, expect, it } from "vitest";
import { webApp } from "./platform-fixture.js";
import { usePlatform } from "./use-platform.js";

const { platform, dinp, ok } = usePlatform(async () => {
  await platform.files("shop", { "server.js": webApp, "dinp.yaml": "cpu: 0.01\nenv: {COLOR: teal}\n" });
});

describe("build", () => {
  it("stores an image and releases nothing, until a push names the build", async () => {
    const run = await ok(["build", "shop", "--tag", "v1", "--json"]);
    const build = JSON.parse(run.out) as BuildView;
    expect(build).toMatchObject({ app: "shop", state: "succeeded", tag: "v1", template: "node" });
    expect(run.err).toMatch(/Command: node server\.js/);
    expect(run.err).toContain(`dinp push --build ${build.id} --app shop`);
    expect((await dinp(["app", "shop"])).code).toBe(5);
    const released = await ok(["push", "--build", build.id, "--app", "shop", "--json"]);
    expect(JSON.parse(released.out) as ReleaseResult).toMatchObject({ number: 1, digest: build.digest });
    expect((await platform.get("shop.apps.localhost")).body).toContain('"color":"teal"');
    const again = await ok(["push", "--build", build.id, "--app", "shop"]);
    expect(again.err).toContain("Nothing changed: release 1 of shop is this already");
  });

  it("is pushed to another app by its tag, and runs there", async () => {
    await ok(["build", "shop", "--tag", "v2"]);
    const run = await ok(["push", "--image", "apps/shop:v2", "--app", "copy", "--cpu", "0.01"]);
    expect(run.err).toContain("Release 1 of copy");
    expect((await platform.get("copy.apps.localhost")).body).toContain('"color":"none"');
    const again = await ok(["push", "--image", "apps/shop:v2", "--app", "copy"]);
    expect(again.err).toContain("Nothing changed: release 1 of copy is this already");
    const none = await dinp(["push", "--image", "apps/shop:v3", "--app", "copy"]);
    expect(none.code).toBe(1);
    expect(none.err).toContain("hint: Tags of apps/shop: v1, v2.");
    for (const more of [["shop"], ["--build", "x"], ["--template", "node"]]) {
      expect((await dinp(["push", "--image", "apps/shop:v2", "--app", "copy", ...more])).code).toBe(2);
    }
  });

  it("prints the image's name on standard output", async () => {
    expect((await ok(["build", "shop"])).out).toMatch(/^apps\/shop@sha256:[0-9a-f]{64}\n$/);
  });

  it("says what is missing of a push of a build", async () => {
    expect(await dinp(["push", "--build", "build-1"])).toMatchObject({ code: 2 });
    expect(await dinp(["push", "shop", "--build", "build-1", "--app", "shop"])).toMatchObject({ code: 2 });
    expect((await dinp(["push", "--build", "build-1", "--app", "shop"])).code).toBe(5);
  });
});

describe("builds", () => {
  it("lists builds and shows one with its log", async () => {
    const { id } = JSON.parse((await ok(["build", "shop", "--app", "other", "--json"])).out) as BuildView;
    const list = await ok(["builds", "other"]);
    expect(list.out).toMatch(
      new RegExp(`^${id} +other +succeeded .* tester +sha256:[0-9a-f]{12} +node, `, "m"),
    );
    expect((await ok(["builds"])).out).toContain(id);
    expect((await ok(["builds", "--state", "failed", "other"])).out).toBe("");
    expect((await ok(["builds", "other", id])).out).toMatch(/^Image {5}apps\/other@sha256:[0-9a-f]{64}$/m);
    expect((await ok(["builds", "other", id, "--log"])).out).toContain("template: node (recognized by");
    expect((await dinp(["builds", "other", "build-none"])).code).toBe(5);
    expect((await dinp(["builds", "--log"])).code).toBe(2);
  });

  it("names the log of a build that failed; what an archive calls its files is shown harmlessly", async () => {
    const name = "../\u001b]0;owned\u0007<br><script>alert(1)</script>";
    await writeFile(join(platform.folder, "bad.tar.gz"), await makeTarGz([{ name, content: "x" }]));
    const run = await dinp(["build", "bad.tar.gz", "--app", "bad"]);
    expect(run.code).toBe(1);
    const command = /"dinp (builds bad build-[0-9a-z]+ --log)"/.exec(run.err)?.[1] ?? "";
    const log = await ok(command.split(" "));
    expect(log.out).toMatch(/failed after .*\(DINP_ARCHIVE_REFUSED\)/);
    expect((await ok(["builds", "bad"])).out).toContain("failed");
    const json = await ok([...command.split(" "), "--json"]);
    for (const { out, err } of [run, log, json]) {
      expect((out + err).replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
    }
  });
});

describe("bases", () => {
  it("are added from files and images, listed, built on and removed", async () => {
    const image = await savedImage({ Env: ["LANG=C.UTF-8"] });
    await writeFile(join(platform.folder, "saved.tar"), await makeTar(newDockerSave(image)));
    await writeFile(join(platform.folder, "root.tar.gz"), await makeTarGz([{ name: "bin/x", content: "x" }]));
    const added = await ok(["bases", "add", "tools", "--from", "saved.tar"]);
    expect(added.err).toMatch(
      /^Base image tools: sha256:[0-9a-f]{12}, 2 layers, .*, from docker-save archive$/m,
    );
    await ok(["bases", "add", "root", "--from", "root.tar.gz"]);
    const { image: built } = JSON.parse((await ok(["build", "shop", "--json"])).out) as BuildView;
    await ok(["bases", "add", "shop", "--from", built ?? ""]);
    const list = await ok(["bases"]);
    expect(list.out).toMatch(/^tools +sha256:[0-9a-f]{12} +2 .* tester +docker-save archive$/m);
    expect(list.out).toMatch(/^root .* root file system$/m);
    const run = await ok(["push", "shop", "--app", "based", "--base", "tools"]);
    expect(run.err).toMatch(
      /^Base: tools@sha256:[0-9a-f]{12}; nodes that run plain processes use their own/m,
    );
    expect((await platform.get("based.apps.localhost")).status).toBe(200);
    await ok(["bases", "remove", "tools"]);
    expect((await dinp(["bases", "remove", "tools"])).code).toBe(5);
    const gone = await dinp(["build", "shop", "--base", "tools"]);
    expect(gone.err).toContain("hint: Base images: root, shop;");
  });

  it("are made of this machine's programs, by their name or as they are told", async () => {
    const options = { makeBase: hostBases("/nowhere/dinp-static.js", process.env) };
    const added = await dinp(["bases", "add", "tiny", "--from-host", "linux"], { options });
    expect(added).toMatchObject({ code: 0 });
    expect(added.err).toMatch(
      /^Uploaded .* in .* s\nBase image tiny: .* 1 layer, .* from root file system$/m,
    );
    const wrong = await dinp(["bases", "add", "tiny", "--from-host"], { options });
    expect(wrong.code).toBe(2);
    expect(wrong.err).toContain("dinp bases add tiny --from-host linux|static|node|");
    const missing = await dinp(["bases", "add", "php", "--from-host"], {
      options: { makeBase: hostBases("/nowhere/dinp-static.js", { PATH: "/nowhere" }) },
    });
    expect(missing).toMatchObject({ code: 1 });
    expect(missing.err).toContain("This machine has no php to make a base image of.");
    expect((await dinp(["bases", "add", "x", "--from-host", "--from", "saved.tar"], { options })).code).toBe(
      2,
    );
    expect((await dinp(["bases", "add", "x"], { options })).err).toMatch(/--from FILE.*--from-host/);
  });

  it("says what cannot be one", async () => {
    expect((await dinp(["bases", "add", "x", "--from", "nothing.tar"])).code).toBe(2);
    expect((await dinp(["bases", "add", "x", "--from", "shop"])).code).toBe(2);
    expect((await dinp(["bases", "add", "../x", "--from", "saved.tar"])).code).toBe(2);
    expect((await dinp(["bases", "add", "x", "--from", "apps/none:v1"])).code).toBe(1);
    await writeFile(join(platform.folder, "bad.tar"), Buffer.alloc(4_000, 1));
    const run = await dinp(["bases", "add", "x", "--from", "bad.tar"]);
    expect(run.code, run.err).toBe(1);
  });
});
