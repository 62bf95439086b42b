import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startPlatform, webApp, type PlatformFixture } from "./platform-fixture.js";
import { runCli, type CliRun, type RunOptions } from "./run-cli.js";

let platform: PlatformFixture;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(async () => {
  await platform.stop();
});

function dinp(argv: readonly string[], options: RunOptions = {}): Promise<CliRun> {
  return runCli(argv, { cwd: platform.folder, ...options, env: { ...platform.env, ...options.env } });
}

describe("push", () => {
  it("works", async () => {
    await platform.files("hello", { "server.js": webApp });
    const run = await dinp(["push", "hello", "--env", "COLOR=red", "--command", "node server.js"]);
    console.log(run);
    expect(run.code).toBe(0);
    expect(await platform.get("hello.apps.localhost")).toBe(1);
  });
});
