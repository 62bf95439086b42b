// Runs the built program: with vitest alone, run `npm run build` first.
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { freePort } from "../../scripts/lib/services/ports.mjs";
import { temporaryFolder } from "./harness.js";
import { get, startApp, startRouter, type RunningRouter } from "./router-support.js";

const long = { timeout: 480_000 };

test("83 one sound endpoint among thirty is found by every request, also one with a body", long, async () => {
  const sound = await startApp("sound", (asked, answer) => {
    asked.on("data", () => undefined).once("end", () => answer.end("sound"));
  });
  for (const at of [0, 29]) {
    const dead = await deadAddresses(29);
    const router = await routerTo([...dead.slice(0, at), sound, ...dead.slice(at)]);
    for (let round = 0; round < 20; round += 1)
      expect([await post(router.port), await get(router.port, "shop.test")]).toEqual([
        { status: 200, body: "sound" },
        { status: 200, body: "sound" },
      ]);
  }
});

test("endpoints that all failed are tried all the same", long, async () => {
  const [first = "", second = ""] = await deadAddresses(2);
  const router = await routerTo([first, second]);
  // Each failure keeps an endpoint out for longer.
  for (let round = 0; round < 6; round += 1) expect((await get(router.port, "shop.test")).status).toBe(502);
  await appAt(second, "back");
  expect(await get(router.port, "shop.test")).toEqual({ status: 200, body: "back" });
});

test("37 clients that go away do not put an endpoint out of turn", long, async () => {
  let waiting = 0;
  const patient = await startApp("patient", (asked, answer) => {
    if (asked.url === "/never") waiting += 1;
    else answer.end("patient");
  });
  const router = await routerTo([patient, await startApp("other")]);
  for (let aborted = 0; aborted < 10; aborted += 1) {
    const before = waiting;
    while (waiting === before) await giveUp(router.port, () => waiting > before);
  }
  const answers: string[] = [];
  for (let round = 0; round < 20; round += 1) answers.push((await get(router.port, "shop.test")).body);
  expect(answers.filter((body) => body === "patient")).toHaveLength(10);
});

async function routerTo(endpoints: readonly string[]): Promise<RunningRouter> {
  const folder = await temporaryFolder();
  onTestFinished(folder.remove);
  const file = join(folder.path, "routes.json");
  await writeFile(file, JSON.stringify({ routes: [{ host: "shop.test", app: "shop", endpoints }] }));
  return await startRouter("--routes", file);
}

/** Where nobody listens. */
async function deadAddresses(count: number): Promise<readonly string[]> {
  const found = new Set<string>();
  while (found.size < count) found.add(`127.0.0.1:${String(await freePort())}`);
  return [...found];
}

async function appAt(address: string, body: string): Promise<void> {
  const server = createServer((_, answer) => answer.end(body));
  server.listen(Number(address.split(":")[1]), "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
}

async function post(port: number): Promise<{ readonly status: number | undefined; readonly body: string }> {
  const headers = { host: "shop.test" };
  const asking = request({ host: "127.0.0.1", port, method: "POST", headers, agent: false });
  asking.end("x".repeat(10_000));
  const [answer] = (await once(asking, "response")) as [import("node:http").IncomingMessage];
  let body = "";
  for await (const chunk of answer) body += String(chunk);
  return { status: answer.statusCode, body };
}

/** Asks for what one endpoint never answers, and goes away once it is there, or when the other one has answered. */
function giveUp(port: number, isThere: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const headers = { host: "shop.test" };
    const asking = request({ host: "127.0.0.1", port, path: "/never", headers, agent: false });
    const look = setInterval(() => {
      if (isThere()) asking.destroy();
    }, 2);
    asking.once("response", (answer) => answer.resume());
    asking.on("error", () => undefined);
    asking.once("close", () => {
      clearInterval(look);
      resolve();
    });
    asking.end();
  });
}
