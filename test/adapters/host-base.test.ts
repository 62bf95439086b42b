import { execFile, spawn } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { builtInTemplates } from "@dinp/core";
import { createHostBase, hostBaseNames, type HostBaseName, type HostBaseOptions } from "@dinp/core/host-base";
import { createTarArchive } from "@dinp/core/tar";
import { findTomcat, tomcatProgram } from "@dinp/core/tomcat";
import { describeWith } from "../build/programs.js";
import { collect } from "../build/support.js";
import { describeWithServices } from "../support/services.js";

const execute = promisify(execFile);
const searchPath = (process.env["PATH"] ?? "").split(":").filter((folder) => folder.startsWith("/"));
const archive = createTarArchive();

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dinp-host-base-"));
  await chmod(folder, 0o755);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function optionsFor(name: HostBaseName): Promise<HostBaseOptions> {
  const site = join(folder, "dinp-static.js");
  await writeFile(site, `console.log("serving", process.argv.slice(2).join(" "));`);
  const tomcat = await findTomcat({});
  return {
    name,
    archive,
    searchPath,
    node: process.execPath,
    platformPrograms: {
      "dinp-static": { command: [process.execPath, site], files: [site] },
      ...(tomcat === null ? {} : { "dinp-tomcat": { command: tomcatProgram(tomcat), files: [tomcat] } }),
    },
  };
}

interface Seen {
  readonly type: string;
  readonly mode: number;
  readonly linkTarget: string | null;
  readonly text: string;
}

async function read(options: HostBaseOptions): Promise<ReadonlyMap<string, Seen>> {
  const seen = new Map<string, Seen>();
  const { tar } = await createHostBase(options);
  for await (const entry of archive.read(tar, { format: "tar", maxBytes: 1e10, maxEntries: 1e6 })) {
    const { path, type, mode, linkTarget, content, size } = entry;
    const text = size < 10_000 ? (await collect(content)).toString() : "";
    seen.set(path.replace(/\/$/, ""), { type, mode, linkTarget, text });
  }
  return seen;
}

/** A program of a machine of its own: a script, which is reached by a link. */
async function machine(name: string): Promise<string> {
  const root = join(folder, name);
  await mkdir(join(root, "bin"), { recursive: true });
  await mkdir(join(root, "opt"), { recursive: true });
  await writeFile(join(root, "opt/php"), "#!/bin/sh\n");
  await chmod(join(root, "opt/php"), 0o755);
  return root;
}

describeWith(["ldd"], "a base of this machine's programs", () => {
  it("has the same bytes every time, folders before what is in them, and all that links lead to", async () => {
    const [first, again] = [await read(await optionsFor("linux")), await read(await optionsFor("linux"))];
    expect([...again]).toEqual([...first]);
    const known = new Set<string>();
    for (const [path, { type, linkTarget }] of first) {
      const parent = path.split("/").slice(0, -1).join("/");
      expect(parent === "" || first.get(parent)?.type === "directory", path).toBe(true);
      expect(known.has(path)).toBe(false);
      known.add(path);
      if (type === "symlink") expect(linkTarget).not.toBeNull();
    }
    expect(first.get("tmp")).toMatchObject({ type: "directory", mode: 0o1777 });
    expect(first.get("etc/passwd")?.text).toMatch(/^root:x:0:0:.*\nnobody:/);
    expect([...first.keys()].some((path) => path.endsWith("bin/sh"))).toBe(true);
  });

  it("leaves out what not everybody may read, and links that lead nowhere", async () => {
    const root = await machine("private");
    const php = join(root, "bin/php");
    // It says where its files lie, as PHP does.
    await writeFile(php, `#!/bin/sh\nprintf '%s\\n' '${root}/ext' '${root}/etc' '${root}/none'\n`);
    await chmod(php, 0o755);
    await mkdir(join(root, "ext"));
    await mkdir(join(root, "etc/closed"), { recursive: true });
    await writeFile(join(root, "etc/php.ini"), "memory_limit=1G\n");
    await writeFile(join(root, "etc/password"), "secret\n");
    await writeFile(join(root, "etc/closed/key"), "secret\n");
    await chmod(join(root, "etc/password"), 0o640);
    await chmod(join(root, "etc/closed"), 0o750);
    await symlink("/nowhere/at/all", join(root, "etc/lost"));
    await symlink("loop", join(root, "etc/loop"));
    await symlink("../opt/php", join(root, "etc/linked"));
    const seen = await read({ ...(await optionsFor("php")), searchPath: [join(root, "bin"), ...searchPath] });
    const below = [...seen.keys()].filter((path) => path.startsWith(`${root.slice(1)}/`));
    expect(below.map((path) => path.slice(root.length)).sort()).toEqual(
      ["bin", "bin/php", "etc", "etc/linked", "etc/php.ini", "ext", "opt", "opt/php"].sort(),
    );
    expect(seen.get(join(root, "etc/linked").slice(1))).toMatchObject({
      type: "symlink",
      linkTarget: "../opt/php",
    });
  });

  it("passes over a program that not everybody may use, for the next of that name", async () => {
    const root = await machine("several");
    await mkdir(join(root, "shims"), { mode: 0o700 });
    await cp("/bin/true", join(root, "shims/php"));
    await cp("/bin/true", join(root, "bin/php"));
    const path = [join(root, "shims"), join(root, "bin")];
    const seen = await read({ ...(await optionsFor("php")), searchPath: [...path, ...searchPath] });
    expect(seen.has(join(root, "bin/php").slice(1))).toBe(true);
    expect([...seen.keys()].filter((name) => name.includes("/shims"))).toEqual([]);
    await expect(
      createHostBase({ ...(await optionsFor("php")), searchPath: [join(root, "shims")] }),
    ).rejects.toMatchObject({
      code: "DINP_PROGRAM_MISSING",
      message: `${join(root, "shims/php")} cannot go into a base image: not every user may read it.`,
    });
  });

  it("names the program that is not here", async () => {
    await expect(
      createHostBase({ ...(await optionsFor("php")), searchPath: ["/nowhere"] }),
    ).rejects.toMatchObject({
      code: "DINP_PROGRAM_MISSING",
      message: "This machine has no php to make a base image of.",
    });
    await expect(
      createHostBase({ ...(await optionsFor("tomcat")), platformPrograms: {} }),
    ).rejects.toMatchObject({ code: "DINP_PROGRAM_MISSING" });
  });
});

describeWithServices(["docker"], "a container on a base of this machine's programs", (places) => {
  const docker = ["-H", `unix://${places.DINP_TEST_DOCKER_SOCKET}`];
  const image = (name: string): string => `dinp-host-base-test:${String(process.pid)}-${name}`;

  // `node` and `java` are in them.
  const names = ["linux", "static", "python", "php", "tomcat"] as const;

  const run = async (name: HostBaseName, command: readonly string[]): Promise<string> => {
    const limits = ["--rm", "--network", "none", "--user", "65534:65534", "--cap-drop", "ALL", "--read-only"];
    const arguments_ = [...docker, "run", ...limits, "--tmpfs", "/tmp", image(name), ...command];
    const { stdout, stderr } = await execute(places.DINP_TEST_DOCKER_CLIENT, arguments_);
    return `${stdout}${stderr}`.trim();
  };

  beforeAll(async () => {
    for (const name of names) {
      const { tar } = await createHostBase(await optionsFor(name));
      const child = spawn(places.DINP_TEST_DOCKER_CLIENT, [...docker, "import", "-", image(name)], {
        stdio: ["pipe", "ignore", "inherit"],
      });
      const ended = new Promise((resolve) => child.once("close", resolve));
      await pipeline(Readable.from(tar), child.stdin);
      expect(await ended).toBe(0);
    }
  }, 180_000);

  afterAll(async () => {
    await execute(places.DINP_TEST_DOCKER_CLIENT, [...docker, "rmi", ...names.map(image)]);
  });

  const cases: readonly (readonly [HostBaseName, readonly string[], RegExp])[] = [
    [
      "linux",
      ["/bin/sh", "-c", "seq 3 | awk '{s+=$1} END {print s}' && id -u && ls -d /tmp"],
      /^6\n65534\n\/tmp$/,
    ],
    [
      "static",
      ["node", "-p", "process.version + require('os').userInfo().username"],
      /^v\d+\.\d+\.\d+nobody$/,
    ],
    ["static", ["dinp-static", "a b", "c"], /^serving a b c$/],
    [
      "python",
      ["python3", "-c", "import ssl, sqlite3, ctypes, http.server; print(ssl.OPENSSL_VERSION)"],
      /^OpenSSL 3/,
    ],
    ["php", ["php", "-r", "echo PHP_VERSION, extension_loaded('json');"], /^\d+\.\d+\.\d+1$/],
    ["tomcat", ["java", "-version"], /OpenJDK/],
    ["tomcat", ["dinp-tomcat"], /^dinp-tomcat: write: dinp-tomcat DIR/],
  ];

  it.each(cases)("%s: %j", { timeout: 60_000 }, async (name, command, expected) => {
    expect(
      await run(name, command).catch((error: unknown) =>
        (error as { readonly stderr: string }).stderr.trim(),
      ),
    ).toMatch(expected);
  });
});

it("can be made for every base that the platform's templates ask for", () => {
  const wanted = builtInTemplates.flatMap(({ base }) => (base === null ? [] : [base]));
  expect([...hostBaseNames].sort()).toEqual([...new Set(wanted)].sort());
});
