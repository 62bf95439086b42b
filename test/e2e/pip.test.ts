import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pythonLayer } from "../adapters/docker-support/python-layer.js";
import { makeZip } from "../adapters/support/make-zip.js";
import { describeWithServices } from "../support/services.js";
import { temporaryFolder, TestPlatform } from "./harness.js";

const WHEEL = "greet-1.0-py3-none-any.whl";
const info = "greet-1.0.dist-info";
const wheel = makeZip([
  { name: "greet.py", content: "def hello(): return 'hello from pip'\n" },
  { name: `${info}/METADATA`, content: "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n" },
  { name: `${info}/WHEEL`, content: "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n" },
  { name: `${info}/RECORD`, content: "" },
]);

const server = `
import greet, os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(greet.hello().encode())
HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
`;

describeWithServices(["docker"], "dinp up --builder docker", (places) => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: TestPlatform;

  beforeAll(async () => {
    folder = await temporaryFolder();
    platform = await TestPlatform.in(folder.path);
    const engine = ["--docker-host", `unix://${places.DINP_TEST_DOCKER_SOCKET}`];
    await platform.start(["--runtime", "docker", "--builder", "docker", ...engine]);
  }, 480_000);
  afterAll(async () => {
    await platform.dispose();
    await folder.remove();
  });

  test("installs what an app requires, and the app runs with it", { timeout: 480_000 }, async () => {
    const source = join(folder.path, "greeter");
    await mkdir(join(source, "wheels"), { recursive: true });
    await writeFile(join(source, "wheels", WHEEL), wheel);
    await writeFile(join(source, "main.py"), server);
    await writeFile(join(source, "pip_requirements.txt"), `./wheels/${WHEEL}\n`);
    await platform.ok("bases", "add", "python", "--from", (await pythonLayer()).path);
    await platform.ok("push", source, "--app", "greeter");
    const { status, body } = await platform.get("greeter.apps.localhost");
    expect([status, body]).toEqual([200, "hello from pip"]);
    const { items } = await platform.json<{ items: readonly { id: string }[] }>("builds", "greeter");
    const log = await platform.ok("builds", "greeter", items[0]?.id ?? "", "--log");
    expect(log.stdout).toMatch(/Successfully installed greet-1\.0/);
    await writeFile(join(source, "pip_requirements.txt"), "greet==2.0\n");
    const failed = await platform.dinp("push", source, "--app", "greeter");
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringMatching(/ended with code 1.*\n.*log/)]);
    expect((await platform.get("greeter.apps.localhost")).body).toBe("hello from pip");
    await platform.ok("delete", "greeter", "--yes");
  });
});
