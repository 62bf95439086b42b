import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeZip } from "../adapters/support/make-zip.js";
import { describeWith } from "../build/programs.js";
import { eventually, processesWith, runProgram, temporaryFolder, TestPlatform } from "./harness.js";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let platform: TestPlatform;

const greet = `
templates:
  - name: greet
    description: A greeting
    recognize: [{files: greeting.txt}]
    command: [{files: greeting.txt, run: [node, serve.js, "{file}"]}]
    check: {path: /up}
    requires: [node]
  - name: fixed
    description: Listens where it likes
    command: [{run: [node, serve.js]}]
    port: 8080
  - name: cobol
    description: A COBOL program
    command: [{run: [cobcrun, app]}]
    requires: [cobcrun]
`;
const serve = `
const { readFileSync } = require("node:fs");
require("node:http").createServer((request, response) => {
  response.statusCode = request.url === "/" ? 500 : 200;
  response.end(readFileSync(process.argv[2]));
}).listen(process.env.PORT);
`;

beforeAll(async () => {
  folder = await temporaryFolder();
  platform = await TestPlatform.in(folder.path);
  await writeFile(join(folder.path, "templates.yaml"), greet);
  await platform.start(["--templates", "templates.yaml"]);
}, 480_000);

afterAll(async () => {
  await platform.dispose();
  await folder.remove();
});

/** A new folder with these files. */
async function sourceOf(files: Readonly<Record<string, string>>): Promise<string> {
  const source = await mkdtemp(join(folder.path, "source-"));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(source, path, ".."), { recursive: true });
    await writeFile(join(source, path), content);
  }
  return source;
}

/** A Java program that says how much memory it may use, as one `.jar`; compiled by the Java that is here. */
async function makeJar(): Promise<string> {
  const source = await sourceOf({
    "Main.java": `import com.sun.net.httpserver.HttpServer;
public class Main {
  public static void main(String[] args) throws Exception {
    var server = HttpServer.create(new java.net.InetSocketAddress(Integer.parseInt(System.getenv("PORT"))), 0);
    server.createContext("/", exchange -> {
      byte[] body = ("max " + Runtime.getRuntime().maxMemory()).getBytes();
      exchange.sendResponseHeaders(200, body.length);
      exchange.getResponseBody().write(body);
      exchange.close();
    });
    server.start();
  }
}`,
  });
  const compiled = await runProgram("java", [
    "-m",
    "jdk.compiler/com.sun.tools.javac.Main",
    "-d",
    source,
    join(source, "Main.java"),
  ]);
  expect(compiled.code, compiled.stderr).toBe(0);
  const jar = join(source, "tell-1.0.jar");
  const manifest = { name: "META-INF/MANIFEST.MF", content: "Manifest-Version: 1.0\nMain-Class: Main\n" };
  const main = { name: "Main.class", content: await readFile(join(source, "Main.class")), deflate: true };
  await writeFile(jar, makeZip([manifest, main]));
  return jar;
}

const war = makeZip([
  { name: "META-INF/MANIFEST.MF", content: "Manifest-Version: 1.0\n" },
  { name: "WEB-INF/web.xml", content: "<web-app/>" },
  { name: "index.jsp", content: "<%= 6 * 7 %> of <%= Runtime.getRuntime().maxMemory() %>", deflate: true },
  { name: "style.css", content: "a {}" },
]);

describeWith(["php"], "a PHP site", () => {
  test("runs, with its root where its index.php is", async () => {
    const flat = await sourceOf({ "index.php": "<?= 6 * 7 ?> by <?= PHP_SAPI ?>", "a.css": "a {}" });
    await platform.ok("push", flat, "--app", "flat");
    expect((await platform.get("flat.apps.localhost", "/x/y")).body).toBe("42 by cli-server");
    const withRoot = await sourceOf({
      "composer.json": "{}",
      "package.json": "{}",
      "secret.php": "<?php echo 'secret';",
      "public/index.php": "<?php echo getenv('DINP_APP');",
    });
    await platform.ok("push", withRoot, "--app", "rooted");
    expect((await platform.get("rooted.apps.localhost")).body).toBe("rooted");
    expect((await platform.get("rooted.apps.localhost", "/secret.php")).status).toBe(404);
  }, 480_000);
});

describeWith(["java", "/usr/share/tomcat10/bin/bootstrap.jar"], "a .war", () => {
  test("runs on Tomcat within its memory, and leaves nothing behind when it is stopped", async () => {
    // A name of its own: other platforms on this machine have instances too.
    const app = `shop-${randomBytes(4).toString("hex")}`;
    const file = join(folder.path, `${app}.war`);
    await writeFile(file, war);
    await platform.ok("push", file, "--memory", "320M");
    const host = `${app}.apps.localhost`;
    const [answer, bytes = ""] = (await platform.get(host)).body.trim().split(" of ");
    expect(answer).toBe("42");
    expect(Number(bytes)).toBeGreaterThan(100 * 1024 ** 2);
    expect(Number(bytes)).toBeLessThanOrEqual(160 * 1024 ** 2);
    expect((await platform.get(host, "/style.css")).headers["content-type"]).toMatch(/^text\/css/);
    expect((await platform.get(host, "/WEB-INF/web.xml")).status).toBe(404);
    expect(await processesWith(`DINP_APP=${app}`)).toHaveLength(1);
    await platform.ok("stop", app);
    await eventually("the end", async () => (await processesWith(`DINP_APP=${app}`)).length === 0);
  }, 480_000);
});

describeWith(["java"], "a .jar", () => {
  test("is run whole, within its memory", async () => {
    await platform.ok("push", await makeJar());
    const [, bytes] = (await platform.get("tell-1-0.apps.localhost")).body.split(" ");
    expect(Number(bytes)).toBeLessThanOrEqual(256 * 0.6 * 1024 ** 2);
  }, 480_000);
});

describe("a single file", () => {
  test("that is a script runs", async () => {
    const script =
      "#!/usr/bin/env node\nrequire('http').createServer((_, r) => r.end('tick')).listen(process.env.PORT)";
    const source = await sourceOf({ clock: script });
    await platform.ok("push", join(source, "clock"));
    expect((await platform.get("clock.apps.localhost")).body).toBe("tick");
  }, 480_000);

  test("that is neither a program nor an archive is refused before it is sent", async () => {
    const source = await sourceOf({ "notes.txt": "hello" });
    const pushed = await platform.dinp("push", join(source, "notes.txt"));
    expect(pushed.code).toBe(2);
    expect(pushed.stderr).toContain("taken are .tar, .tar.gz, .zip, .war and .jar");
  });
});

describeWith(["busybox"], "a program in the machine's own code", () => {
  test("runs", async () => {
    const busybox = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path)) ?? "";
    // It goes by the name that it is called by.
    const command = 'ln -s "$PWD/app" "$TMPDIR/busybox" && exec "$TMPDIR/busybox" httpd -f -p $PORT -h .';
    await platform.ok("push", busybox, "--app", "native", "--command", command);
    expect((await platform.get("native.apps.localhost", "/app")).body.slice(1, 4)).toBe("ELF");
  }, 480_000);
});

describe("templates of an operator", () => {
  test("come first, and say how to start and to check", async () => {
    const source = await sourceOf({ "greeting.txt": "good day", "serve.js": serve });
    // Its path "/" answers with status 500: only the template's own check finds it ready.
    await platform.ok("push", source, "--app", "greet");
    expect((await platform.get("greet.apps.localhost", "/x")).body).toBe("good day");
    const listed = await platform.json<{ items: { name: string }[] }>("templates");
    expect(listed.items.slice(0, 4).map(({ name }) => name)).toEqual(["greet", "fixed", "cobol", "java-war"]);
    expect((await platform.ok("templates")).stdout).toMatch(/greet +greeting\.txt/);
  }, 480_000);

  test("with a port of their own or a program that is missing are refused with the reason", async () => {
    const source = await sourceOf({ "serve.js": serve });
    const fixed = await platform.dinp("push", source, "--app", "fixed", "--template", "fixed");
    expect(fixed.stderr).toContain("listen on port 8080 whatever PORT says");
    const cobol = await platform.dinp("push", source, "--app", "cobol", "--template", "cobol");
    expect(cobol.stderr).toContain("The app needs `cobcrun`, which no node has");
    expect((await platform.ok("apps")).stdout).not.toMatch(/fixed|cobol/);
  }, 480_000);

  test("that are wrong keep the platform from starting, and say why", async () => {
    await writeFile(join(folder.path, "wrong.yaml"), "templates: [{name: x, description: y, port: 0}]");
    const other = await TestPlatform.in(folder.path);
    await expect(other.start(["--templates", "wrong.yaml"])).rejects.toThrow(
      'wrong.yaml: the template "x": "port" is 0; it must be a whole number from 1 to 65535',
    );
    await expect(other.start(["--templates", "absent.yaml"])).rejects.toThrow(/absent\.yaml/);
  }, 480_000);
});

describe("a node without interpreters", () => {
  test("is named, with what to install, when an app needs one", async () => {
    const bare = await temporaryFolder();
    const other = await TestPlatform.in(bare.path);
    other.env["PATH"] = bare.path;
    other.env["CATALINA_HOME"] = "/nowhere";
    try {
      await other.start();
      const site = await other.dinp("push", await sourceOf({ "index.php": "" }), "--app", "site");
      expect(site.stderr).toContain("The app needs `php`, which no node has (local).");
      expect(site.stderr).toContain("apt-get install php-cli");
      const file = join(folder.path, "other.war");
      await writeFile(file, war);
      const shop = await other.dinp("push", file);
      expect(shop.stderr).toContain("The app needs `dinp-tomcat`, `java`, which no node has (local).");
      expect(shop.stderr).toContain("apt-get install tomcat10-common");
      expect((await other.ok("apps")).stdout).not.toMatch(/site|other/);
    } finally {
      await other.dispose();
      await rm(bare.path, { recursive: true, force: true });
    }
  }, 480_000);
});
