import { existsSync } from "node:fs";
import { cp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  eventually,
  processesWith,
  projectRoot,
  SteadyLoad,
  temporaryFolder,
  TestPlatform,
} from "./harness.js";

const HOST = "py.apps.localhost";

interface App {
  readonly state: string;
  readonly release: number;
  readonly digest: string;
  readonly ready: number;
  readonly instanceList: readonly { readonly id: string; readonly ready: boolean }[];
}

/** The instances that answer `asks` requests in a row. */
async function answering(platform: TestPlatform, asks = 12): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  for (let i = 0; i < asks; i += 1) {
    const answer = await platform.get(HOST);
    expect(answer.status, answer.body).toBe(200);
    const instance = String(answer.headers["x-instance"]);
    seen.set(instance, (seen.get(instance) ?? 0) + 1);
  }
  return seen;
}

/** The kinds of layers that an image has in the platform's registry. */
async function layerTypes(folder: string, digest: string): Promise<readonly string[]> {
  const repositories = join(folder, "data/registry/repositories");
  const blob = join("blobs", digest.replace(":", "/"));
  const files = (await readdir(repositories)).map((name) => join(repositories, name, blob));
  const [text] = await Promise.all(
    files.filter((file) => existsSync(file)).map((file) => readFile(file, "utf8")),
  );
  const { layers } = JSON.parse(text ?? "{}") as { layers: readonly { mediaType: string }[] };
  return layers.map(({ mediaType }) => mediaType.replace(/.*\.v1\./, ""));
}

describe("a user's walk, seen through the router", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: TestPlatform;

  beforeAll(async () => {
    folder = await temporaryFolder();
    platform = await TestPlatform.in(folder.path);
    // Until its restart below it compresses, afterwards not: both kinds of images run side by side.
    await platform.start(["--layer-compression", "gzip"]);
  }, 480_000);

  afterAll(async () => {
    await platform.dispose();
    await folder.remove();
  });

  test("push, scale, env, domains, rollback under 50 requests/s without a failed one; then stop, start, delete", async () => {
    const python = join(projectRoot, "examples/apps/python");
    const pushed = await platform.ok("push", python, "--app", "py", "--instances", "2");
    expect(pushed.stdout).toContain(`http://${HOST}`);

    const inTurn = await answering(platform);
    expect([...inTurn.values()]).toEqual([6, 6]);
    const { instanceList } = await platform.json<{ instanceList: { endpoint: string }[] }>("app", "py");
    const { first, last } = platform.instancePorts;
    for (const port of instanceList.map(({ endpoint }) => Number(new URL(`http://${endpoint}`).port))) {
      expect(port).toBeGreaterThanOrEqual(first);
      expect(port).toBeLessThanOrEqual(last);
    }

    const load = new SteadyLoad(50, () => platform.get(HOST));
    await platform.ok("scale", "py", "4");
    const seen = new Set<string>();
    await eventually("four instances answer", async () => {
      const { status, headers } = await platform.get(HOST);
      return status === 200 && seen.add(String(headers["x-instance"])).size >= 4;
    });

    await platform.ok("scale", "py", "1");
    await eventually("one instance answers", async () => (await answering(platform, 4)).size === 1);

    await platform.ok("env", "set", "py", "GREETING=good day");
    // A rollout is complete before the instances that it replaces are off their routes.
    await eventually(
      "the variable",
      async () => (await platform.get(HOST, "/env/GREETING")).body === "good day\n",
    );
    expect((await platform.ok("exec", "py", "--", "printenv", "GREETING")).stdout).toBe("good day\n");

    await platform.ok("domains", "add", "py", "www.example.org");
    const own = await eventually("the domain answers", async () => {
      const answer = await platform.get("www.example.org");
      return answer.status === 200 && answer;
    });
    expect(own.body).toContain("py: release 2");

    await platform.ok("rollback", "py");
    await eventually(
      "the variable is gone",
      async () => (await platform.get(HOST, "/env/GREETING")).status === 404,
    );
    expect((await platform.get(HOST)).body).toContain("release 3");

    await platform.ok("domains", "remove", "py", "www.example.org");
    await eventually(
      "the domain is gone",
      async () => (await platform.get("www.example.org")).status === 404,
    );

    await load.stop();
    expect(load.sent).toBeGreaterThan(100);
    expect(load.failures).toEqual([]);

    await platform.ok("stop", "py");
    const stopped = await platform.get(HOST);
    expect([stopped.status, stopped.headers["x-dinp-error"]]).toEqual([503, "app_stopped"]);

    await platform.ok("start", "py");
    expect((await platform.get(HOST)).body).toContain("release 3");

    const mark = (await platform.json<App>("app", "py")).instanceList[0]?.id ?? "none";
    expect(await processesWith(mark)).not.toEqual([]);
    await platform.ok("delete", "py", "--yes");
    const deleted = await platform.get(HOST);
    expect([deleted.status, deleted.headers["x-dinp-error"]]).toEqual([404, "unknown_host"]);
    await eventually("no process is left", async () => (await processesWith(mark)).length === 0);
    await eventually("the name is free", async () => (await platform.dinp("app", "py")).code === 5);
  }, 480_000);

  test("a pushed app outlives its source folder and the platform's end: same release, same digest, nothing built", async () => {
    const source = join(folder.path, "own-app");
    await mkdir(source);
    await writeFile(
      join(source, "server.js"),
      `require("node:http").createServer((q, s) => s.end("kept")).listen(process.env.PORT);\n`,
    );
    await platform.ok("push", source, "--app", "own");
    const before = await platform.json<App>("app", "own");
    expect(await layerTypes(folder.path, before.digest)).toEqual(["tar+gzip"]);
    await rm(source, { recursive: true });
    expect(await platform.end("SIGINT")).toBe(0);
    expect(await processesWith(folder.path)).toEqual([]);

    await platform.start();
    const answer = await eventually("the app answers again", async () => {
      const got = await platform.get("own.apps.localhost");
      return got.status === 200 && got;
    });
    expect(answer.body).toBe("kept");
    const after = await platform.json<App>("app", "own");
    expect([after.release, after.digest]).toEqual([before.release, before.digest]);
    const { items } = await platform.json<{ items: { type: string }[] }>("events", "own");
    const types = items.map((event) => event.type);
    expect(types.filter((type) => type.startsWith("build."))).toEqual(["build.succeeded"]);
    expect(types.filter((type) => type === "release.created")).toEqual(["release.created"]);
  }, 480_000);

  test("an app that does not start fails its push with the reason and its last lines; the old release goes on", async () => {
    const source = join(folder.path, "fragile");
    await mkdir(source);
    await writeFile(
      join(source, "server.js"),
      `require("node:http").createServer((q, s) => s.end("one")).listen(process.env.PORT);\n`,
    );
    await platform.ok("push", source, "--app", "fragile");
    await writeFile(join(source, "server.js"), `console.error("no database at db:5432"); process.exit(3);\n`);
    const failed = await platform.dinp("push", source, "--app", "fragile");
    expect(failed.code).toBe(1);
    expect(failed.stderr + failed.stdout).toContain("exited with code 3");
    expect(failed.stderr + failed.stdout).toContain("no database at db:5432");
    expect((await platform.get("fragile.apps.localhost")).body).toBe("one");
    await platform.ok("delete", "fragile", "--yes");
  }, 480_000);

  test("the static demo answers with its page, its style and its own 404", async () => {
    await platform.ok("push", join(projectRoot, "examples/apps/static"), "--app", "static");
    const { digest } = await platform.json<App>("app", "static");
    expect(await layerTypes(folder.path, digest)).toEqual(["tar"]);
    const host = (await platform.json<{ items: { name: string; urls: string[] }[] }>("apps")).items
      .flatMap((app) => app.urls)
      .map((url) => new URL(url).hostname)
      .find((name) => name.includes("static"));
    const page = await platform.get(host ?? "");
    expect(page.status).toBe(200);
    expect(page.headers["content-type"]).toContain("text/html");
    expect(page.body).toBe(await readFile(join(projectRoot, "examples/apps/static/index.html"), "utf8"));
    expect((await platform.get(host ?? "", "/style.css")).headers["content-type"]).toContain("text/css");
    const missing = await platform.get(host ?? "", "/nothing");
    expect(missing.status).toBe(404);
    expect(missing.body).toBe(await readFile(join(projectRoot, "examples/apps/static/404.html"), "utf8"));
  }, 480_000);

  test("a folder without anything to start is refused with what was looked for", async () => {
    const source = join(folder.path, "empty-handed");
    await cp(join(projectRoot, "examples/apps/static/style.css"), join(source, "style.css"));
    const refused = await platform.dinp("push", source, "--app", "nothing");
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/hint:/);
    expect((await platform.dinp("app", "nothing")).code).toBe(5);
  });
});
