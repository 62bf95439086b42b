import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithServices } from "../support/services.js";
import { temporaryFolder, TestPlatform } from "./harness.js";

const server = `
const { readFileSync } = require("node:fs");
const text = readFileSync("made.txt", "utf8") + process.env.GREETING;
require("node:http").createServer((_, answer) => answer.end(text)).listen(process.env.PORT, "0.0.0.0");
`;
const dockerfile = `FROM node
ENV GREETING="hello from a Dockerfile"
WORKDIR /srv/web
COPY . .
RUN node -e 'require("node:fs").writeFileSync("made.txt", "made by " + process.argv[1] + ", ")' RUN; echo "it is written"
EXPOSE 1234
CMD ["node", "server.js"]
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

  test("an app by its own Dockerfile answers", { timeout: 480_000 }, async () => {
    const source = join(folder.path, "made");
    await mkdir(source);
    await writeFile(join(source, "server.js"), server);
    await writeFile(join(source, "Dockerfile"), dockerfile);
    await writeFile(join(source, "dinp.yaml"), "template: dockerfile\n");
    await platform.ok("push", source, "--app", "made");
    const { status, body } = await platform.get("made.apps.localhost");
    expect([status, body]).toEqual([200, "made by RUN, hello from a Dockerfile"]);
    const { items } = await platform.json<{ items: readonly { id: string }[] }>("builds", "made");
    const log = await platform.ok("builds", "made", items[0]?.id ?? "", "--log");
    expect(log.stdout).toMatch(/step 5\/7: RUN node .*\n.*it is written\n.*step 6\/7: EXPOSE 1234/);
    await writeFile(join(source, "Dockerfile"), "FROM node\nRUN --mount=type=ssh ls\n");
    const refused = await platform.dinp("push", source, "--app", "made");
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/Dockerfile line 2, RUN: --mount is not allowed/),
    ]);
    expect((await platform.get("made.apps.localhost")).body).toMatch(/^made by RUN/);
    await platform.ok("delete", "made", "--yes");
  });
});
