import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWithServices } from "../support/services.js";
import { eventually, projectRoot, runProgram, temporaryFolder, TestPlatform } from "./harness.js";

const execute = promisify(execFile);
const TOMCAT_EXAMPLES = "/usr/share/tomcat10-examples/examples";

/** Answers with what it runs as; a request for /eat takes memory until there is none left. */
const server = `
const held = [];
require("node:http").createServer((request, response) => {
  if (request.url === "/eat") for (;;) held.push(Buffer.alloc(8_000_000, held.length));
  const { COLOR = "none", HOME, PORT } = process.env;
  response.end(JSON.stringify({ color: COLOR, uid: process.getuid(), home: HOME, port: PORT }));
}).listen(process.env.PORT);
`;

interface Inspected {
  readonly Config: { readonly User: string };
  readonly HostConfig: {
    readonly CapDrop: readonly string[] | null;
    readonly CapAdd: readonly string[] | null;
    readonly SecurityOpt: readonly string[] | null;
    readonly ReadonlyRootfs: boolean;
    readonly Privileged: boolean;
    readonly Memory: number;
    readonly MemorySwap: number;
    readonly CpuShares: number;
    readonly NanoCpus: number;
    readonly PidsLimit: number;
    readonly RestartPolicy: { readonly Name: string };
    readonly PortBindings: Readonly<Record<string, readonly { readonly HostIp: string }[]>>;
  };
}

interface InstanceItem {
  readonly id: string;
  readonly desired: string;
  readonly ready: boolean;
}

describeWithServices(["docker"], "a platform whose instances are containers", (places) => {
  const socket = places.DINP_TEST_DOCKER_SOCKET;
  const onDocker = ["--runtime", "docker", "--docker-host", `unix://${socket}`];
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: TestPlatform;

  beforeAll(async () => {
    folder = await temporaryFolder();
    platform = await TestPlatform.in(folder.path);
    await platform.start(onDocker);
  }, 480_000);

  afterAll(async () => {
    await platform.dispose();
    await folder.remove();
  });

  async function docker(...args: readonly string[]): Promise<string> {
    const { stdout } = await execute(places.DINP_TEST_DOCKER_CLIENT, ["-H", `unix://${socket}`, ...args]);
    return stdout.trim();
  }

  /** Containers of these instances, running or not. */
  async function containersOf(instances: readonly string[]): Promise<readonly string[]> {
    const found: string[] = [];
    for (const id of instances) {
      const listed = await docker("ps", "-aq", "--filter", `label=io.dinp.instance=${id}`);
      found.push(...listed.split("\n").filter((line) => line !== ""));
    }
    return found;
  }

  async function sourceOf(name: string, files: Readonly<Record<string, string>>): Promise<string> {
    const source = join(folder.path, name);
    await mkdir(source, { recursive: true });
    for (const [path, content] of Object.entries(files)) await writeFile(join(source, path), content);
    return source;
  }

  async function instancesOf(app: string): Promise<readonly InstanceItem[]> {
    return (await platform.json<{ items: readonly InstanceItem[] }>("instances", app)).items;
  }

  async function readyOf(app: string): Promise<readonly string[]> {
    // What a rollout has replaced may still be on its way out, and ready.
    const staying = (await instancesOf(app)).filter(({ desired, ready }) => desired === "running" && ready);
    return staying.map(({ id }) => id);
  }

  async function deleted(app: string): Promise<void> {
    const instances = (await instancesOf(app)).map(({ id }) => id);
    await platform.ok("delete", app, "--yes", "--confirm");
    await eventually("its containers are gone", async () => (await containersOf(instances)).length === 0);
  }

  test("the demo apps run on bases of this machine's programs", { timeout: 480_000 }, async () => {
    const answers = { hello: /hello runs on DINP/, python: /^python: release 1/, static: /<html/ };
    for (const [app, expected] of Object.entries(answers)) {
      await platform.ok("push", join(projectRoot, "examples/apps", app), "--app", app);
      const { status, body } = await platform.get(`${app}.apps.localhost`);
      expect([status, body]).toEqual([200, expect.stringMatching(expected)]);
    }
    const { items } = await platform.json<{ items: { name: string; createdBy: string }[] }>("bases");
    expect(items.map(({ name }) => name)).toEqual(["node", "python", "static"]);
    for (const app of Object.keys(answers)) await deleted(app);
  });

  test("json-server runs as its authors ship it", { timeout: 480_000 }, async () => {
    const source = await sourceOf("posts", {
      "package.json": JSON.stringify({
        name: "posts",
        private: true,
        scripts: { start: "json-server db.json --host 0.0.0.0 --port $PORT" },
        dependencies: { "json-server": "0.17.4" },
      }),
      "db.json": JSON.stringify({ posts: [{ id: 7, title: "post 7" }] }),
    });
    const quietly = ["--no-audit", "--no-fund", "--loglevel=error"];
    const install = await runProgram("npm", ["install", ...quietly], { cwd: source });
    expect(install.code, install.stderr).toBe(0);
    await platform.ok("push", source, "--app", "posts", "--instances", "2");
    const { status, body } = await platform.get("posts.apps.localhost", "/posts/7");
    expect([status, JSON.parse(body)]).toEqual([200, { id: 7, title: "post 7" }]);
    await deleted("posts");
  });

  test("Tomcat's own examples run on a base of this machine's Tomcat", { timeout: 480_000 }, async () => {
    expect(existsSync(TOMCAT_EXAMPLES), "the Debian package tomcat10-examples").toBe(true);
    const war = join(folder.path, "examples.war");
    await execute("zip", ["-q", "-r", war, "."], { cwd: TOMCAT_EXAMPLES });
    await platform.ok("push", war, "--app", "examples", "--memory", "384M");
    const host = "examples.apps.localhost";
    expect((await platform.get(host, "/servlets/servlet/HelloWorldExample")).body).toContain(
      "<h1>Hello World!</h1>",
    );
    expect((await platform.get(host, "/jsp/jsp2/el/basic-arithmetic.jsp")).body).toMatch(/\$\{1 \+ 2\}/);
    await deleted("examples");
  });

  describe("an app of one's own", () => {
    beforeAll(async () => {
      const source = await sourceOf("own", { "server.js": server, "dinp.yaml": "env: {COLOR: teal}\n" });
      await platform.ok(
        "push",
        source,
        "--app",
        "own",
        "--memory",
        "64M",
        "--cpu",
        "0.5",
        "--instances",
        "2",
      );
    }, 480_000);

    test("runs as nobody in particular, with no capability, on files that it cannot change", async () => {
      const { body } = await platform.get("own.apps.localhost");
      expect(JSON.parse(body)).toMatchObject({ color: "teal", uid: 65532 });
      const instances = (await instancesOf("own")).map(({ id }) => id);
      const containers = await containersOf(instances);
      expect(containers).toHaveLength(2);
      const inspected = JSON.parse(await docker("inspect", ...containers)) as readonly Inspected[];
      for (const { Config, HostConfig } of inspected) {
        expect(Config.User).toBe("65532:65532");
        expect(HostConfig).toMatchObject({
          CapDrop: ["ALL"],
          ReadonlyRootfs: true,
          Privileged: false,
          Memory: 64 * 1024 * 1024,
          MemorySwap: 64 * 1024 * 1024,
          CpuShares: 512,
          NanoCpus: 1_000_000_000,
          PidsLimit: 512,
          RestartPolicy: { Name: "no" },
        });
        expect(HostConfig.CapAdd ?? []).toEqual([]);
        expect(HostConfig.SecurityOpt).toContain("no-new-privileges");
        const bindings = Object.values(HostConfig.PortBindings).flat();
        expect(bindings.map(({ HostIp }) => HostIp)).toEqual(["127.0.0.1"]);
      }
      const written = await platform.dinp(
        "exec",
        "own",
        "--",
        "/bin/sh",
        "-c",
        "echo x > /app/x || echo x > /etc/x",
      );
      expect(written.code).not.toBe(0);
      expect(written.stderr).toMatch(/Read-only file system/);
    });

    test("is let do what an admin grants it, until that is taken away", { timeout: 480_000 }, async () => {
      const granted = ["--capability", "NET_RAW", "--writable-root", "--user", "0:0", "--pids", "99"];
      const { stderr } = await platform.ok("grants", "set", "own", ...granted);
      expect(stderr).toContain("granted: user 0:0, a writable root, capabilities NET_RAW, 99 processes");
      expect(await platform.json("grants", "own")).toEqual({
        ...{ user: "0:0", writableRoot: true, capabilities: ["NET_RAW"], pidsMax: 99 },
      });
      const rights = async (): Promise<readonly unknown[]> => {
        const containers = await containersOf(await readyOf("own"));
        const inspected = JSON.parse(await docker("inspect", ...containers)) as readonly Inspected[];
        return inspected.map(({ Config, HostConfig: { CapAdd, ReadonlyRootfs, PidsLimit } }) => [
          ...[Config.User, CapAdd ?? [], ReadonlyRootfs, PidsLimit],
        ]);
      };
      const [more, plain] = [
        ["0:0", ["NET_RAW"], false, 99],
        ["65532:65532", [], true, 512],
      ];
      expect(await rights()).toEqual([more, more]);
      await platform.ok("run", "own", "--", "/bin/sh", "-c", "echo x > /etc/x");
      // An older release is granted what the app is granted now.
      await platform.ok("rollback", "own", "1");
      expect(await rights()).toEqual([more, more]);
      await platform.ok("grants", "clear", "own");
      expect(await rights()).toEqual([plain, plain]);
    });

    test(
      "is stopped by its limit when it eats memory, and the user is told why",
      { timeout: 480_000 },
      async () => {
        await platform.get("own.apps.localhost", "/eat").catch(() => undefined);
        const told = await eventually("the end is told", async () => {
          const { stdout } = await platform.ok("events", "own");
          return /It used more than its 64 MB of memory/.test(stdout) && stdout;
        });
        expect(told).toMatch(/instance\.failed .*It used more than its 64 MB of memory/);
        // The router has asked the other one too, which has no more memory.
        await eventually("it answers", async () => (await platform.get("own.apps.localhost")).status === 200);
      },
    );

    test(
      "goes on when the platform is killed and starts again, on the same containers",
      { timeout: 480_000 },
      async () => {
        await eventually("both run", async () => {
          return (await readyOf("own")).length === 2;
        });
        const before = await containersOf(await readyOf("own"));
        await platform.end("SIGKILL");
        await platform.start(["--docker-host", `unix://${socket}`]);
        await eventually("it answers", async () => (await platform.get("own.apps.localhost")).status === 200);
        expect(await containersOf(await readyOf("own"))).toEqual(before);
        await deleted("own");
      },
    );
  });

  test("the choice of the first start stands", { timeout: 480_000 }, async () => {
    await platform.end("SIGTERM");
    const other = await platform.up(["--runtime", "process"]);
    expect(other.code).toBe(1);
    expect(other.stderr).toContain("This data folder was made with --runtime docker");
    const away = await platform.up(["--docker-host", "unix:///nowhere/docker.sock"]);
    expect(away.code).toBe(4);
    expect(away.stderr).toMatch(/The Docker engine at \/nowhere\/docker\.sock cannot be used.*\nhint: /);
    await platform.start(onDocker);
  });
});
