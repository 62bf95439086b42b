import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runProgram, temporaryFolder, TestPlatform } from "./harness.js";

const HOST = "posts.apps.localhost";

describe("a third-party app from the npm registry, vendored with its libraries", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: TestPlatform;

  beforeAll(async () => {
    folder = await temporaryFolder();
    platform = await TestPlatform.in(folder.path);
    await platform.start();
  }, 480_000);

  afterAll(async () => {
    await platform.dispose();
    await folder.remove();
  });

  test("json-server runs through dinp push as its authors ship it", async () => {
    const source = join(folder.path, "json-server-app");
    await mkdir(source);
    const manifest = {
      name: "posts",
      private: true,
      scripts: { start: "json-server db.json --host 127.0.0.1 --port $PORT" },
      dependencies: { "json-server": "0.17.4" },
    };
    const posts = Array.from({ length: 50 }, (_, i) => ({ id: i + 1, title: `post ${String(i + 1)}` }));
    await writeFile(join(source, "package.json"), JSON.stringify(manifest));
    await writeFile(join(source, "db.json"), JSON.stringify({ posts }));
    const install = await runProgram("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: source,
    });
    expect(install.code, install.stderr).toBe(0);
    const files = (await readdir(source, { recursive: true, withFileTypes: true })).filter(
      (entry) => !entry.isDirectory(),
    );
    expect(files.length).toBeGreaterThan(500);

    const pushed = await platform.ok("push", source, "--app", "posts", "--instances", "2");
    expect(pushed.stdout).toContain(`http://${HOST}`);
    const one = await platform.get(HOST, "/posts/7");
    expect([one.status, JSON.parse(one.body)]).toEqual([200, { id: 7, title: "post 7" }]);
    const page = await platform.get(HOST, "/posts?_page=2&_limit=10");
    expect((JSON.parse(page.body) as { id: number }[]).map((post) => post.id)).toEqual([
      11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
    ]);
    expect(page.headers["x-total-count"]).toBe("50");
    expect((await platform.get(HOST)).body).toContain("JSON Server");
  }, 480_000);
});
