import { parseUploadPlace } from "@dinp/core";
import type { BuildView } from "@dinp/core/client";
import { createUploadFetcher } from "@dinp/core/url-fetch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answering, serving, startUploadServer } from "../adapters/support/upload-server.js";
import { makeTarGz } from "../build/support.js";
import { startPlatform, webApp, type PlatformFixture } from "./platform-fixture.js";
import { runCli, type CliRun } from "./run-cli.js";

const HOST = "127.0.0.2";

let platform: PlatformFixture;
beforeAll(async () => {
  platform = await startPlatform({ uploads: createUploadFetcher({ allow: [parseUploadPlace(HOST)] }) });
});
afterAll(async () => {
  await platform.stop();
});

function dinp(...argv: readonly string[]): Promise<CliRun> {
  return runCli(argv, { cwd: platform.folder, env: platform.env });
}

describe("push and build --url", () => {
  it("release and build what the platform fetches, and say where from", async () => {
    await using server = await startUploadServer(
      HOST,
      serving(
        await makeTarGz([
          { name: "server.js", content: webApp },
          { name: "dinp.yaml", content: "cpu: 0.01\nenv: {COLOR: teal}\n" },
        ]),
      ),
    );
    const place = `http://${HOST}:${String(server.port)}/files/Shop_1.tar.gz`;
    const pushed = await dinp("push", "--url", `${place}?sig=secret`, "--app", "shop");
    expect(pushed.code, pushed.err).toBe(0);
    expect(pushed.err).toContain(`Pushing ${place} to shop`);
    expect((await platform.get("shop.apps.localhost")).body).toContain('"color":"teal"');
    const built = await dinp("build", "--url", `${place}?sig=secret`, "--json");
    const build = JSON.parse(built.out) as BuildView;
    expect(build).toMatchObject({ app: "shop-1", source: place });
    const shown = await dinp("builds", "shop-1", build.id);
    expect(shown.out).toMatch(new RegExp(`^From +${place.replaceAll(".", "\\.")}$`, "m"));
    const log = await dinp("builds", "shop-1", build.id, "--log");
    expect(log.out).toContain(`fetching: ${place}`);
    const events = await dinp("events", "--app", "shop");
    for (const { out, err } of [pushed, built, shown, log, events]) expect(out + err).not.toContain("secret");
  });

  it("say what went wrong, with the log of the build", async () => {
    await using server = await startUploadServer(HOST, answering(503, ["content-length: 0"]));
    const place = `http://${HOST}:${String(server.port)}/a.tgz`;
    const failed = await dinp("push", "--url", `${place}?secret`);
    expect(failed.code).toBe(1);
    expect(failed.err).toContain(`error: ${place} answers 503 instead of the file.`);
    expect(failed.err).toMatch(/"dinp builds a build-\w+ --log"/);
    const denied = await dinp("build", "--url", "http://2130706433:9/a.tgz?secret");
    expect(denied.code).toBe(3);
    expect(denied.err).toMatch(/127\.0\.0\.1 is a loopback address/);
    expect(denied.err).toContain("dinp up --allow-upload-from 127.0.0.1:9");
    for (const { out, err } of [failed, denied]) expect(out + err).not.toContain("secret");
  });

  it.each([
    [["push", "--url", "ftp://a.test/x"], /by http and https/],
    [["push", "--url", "http://u:secret@a.test/x"], /has a user or password before a\.test/],
    [["push", "--url", "http://a.test/"], /Give one with --app NAME/],
    [["push", "dir", "--url", "http://a.test/x"], /--url goes without a folder/],
    [["build", "dir", "--url", "http://a.test/x"], /--url goes without a folder/],
    [["push", "--build", "b", "--app", "a", "--url", "http://a.test/x"], /--build goes without --url/],
    [["push", "https://a.test/x.tgz"], /A URL is given with --url/],
  ] satisfies readonly (readonly [string[], RegExp])[])("refuse %j", async (argv, message) => {
    const run = await dinp(...argv);
    expect(run.code).toBe(2);
    expect(run.err).toMatch(message);
    expect(run.err).not.toContain("secret");
  });
});
