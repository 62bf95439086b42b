// Runs the built program: with vitest alone, run `npm run build` first.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { eventually, runProgram, temporaryFolder } from "./harness.js";
import { get, program, startApp, startLoad, startRouter } from "./router-support.js";

test("requests follow the file: a switch under load fails none, a bad edit changes nothing and is told", async () => {
  const [first, second] = [await startApp("first"), await startApp("second")];
  const file = await routeFile(routesTo(first));
  const router = await startRouter("--routes", file);
  expect(router.output()).toMatch(
    /^dinp-router listens on http:\/\/127\.0\.0\.1:\d+ with 1 route to 1 endpoint of /,
  );
  expect(await get(router.port, "shop.test")).toEqual({ status: 200, body: "first" });
  expect((await get(router.port, "other.test")).status).toBe(404);

  const load = startLoad(router.port, "shop.test");
  await eventually("load", () => load.answers.length > 100);
  await writeFile(file, routesTo(second));
  await eventually("the switch", async () => (await get(router.port, "shop.test")).body === "second");
  const switched = load.answers.length;
  await eventually("load after the switch", () => load.answers.length > switched + 100);
  await load.end();
  expect(load.failures).toEqual([]);
  expect([...new Set(load.answers)]).toEqual(["first", "second"]);

  await writeFile(file, routesTo("127.0.0.1:99999"));
  await eventually("the warning", () => router.errors().includes("127.0.0.1:99999"));
  expect(router.errors()).toContain("the last good table is served");
  expect(await get(router.port, "shop.test")).toEqual({ status: 200, body: "second" });
  router.child.kill("SIGHUP");
  await eventually("the second warning", () => router.errors().includes("was read again and cannot be used"));
  await writeFile(file, routesTo(first));
  await eventually("the recovery", async () => (await get(router.port, "shop.test")).body === "first");
});

test("SIGTERM lets a request in flight end, and takes no other", async () => {
  let answer: () => void = () => undefined;
  const app = await startApp("slow", (_request, response) => {
    response.write("begun ");
    answer = () => response.end("and ended");
  });
  const router = await startRouter("--routes", await routeFile(routesTo(app)), "--drain", "5m");
  const inFlight = get(router.port, "shop.test", () => {
    router.child.kill("SIGTERM");
  });
  await eventually("the end of listening", async () => {
    const refused = await get(router.port, "other.test").catch(() => null);
    return refused === null;
  });
  answer();
  expect(await inFlight).toEqual({ status: 200, body: "begun and ended" });
  expect(await router.ended).toBe(0);
});

test("SIGTERM cuts a request that does not end within --drain", async () => {
  const app = await startApp("endless", (_request, response) => {
    response.write("begun");
  });
  const router = await startRouter("--routes", await routeFile(routesTo(app)), "--drain", "50ms");
  const inFlight = get(router.port, "shop.test", () => {
    router.child.kill("SIGTERM");
  });
  await expect(inFlight).rejects.toThrow();
  expect(await router.ended).toBe(0);
});

test("--check-config says what is wrong, and exit codes tell wrong usage from failure", async () => {
  const good = await routeFile(routesTo("10.0.0.5:8080"));
  const checked = await dinpRouter("--routes", good, "--check-config", "--log-level", "warn");
  expect(checked).toMatchObject({ code: 0, stderr: "" });
  expect(checked.stdout).toContain(`router.routes = ${JSON.stringify(good)}   (--routes)\n`);
  expect(checked.stdout).toContain('log.level = "warn"   (--log-level)\n');
  expect(checked.stdout).toContain("router.listen = 127.0.0.1:8080   (default)\n");
  expect(checked.stdout).toMatch(/: 1 route to 1 endpoint\n$/);
  const bad = await routeFile(routesTo("10.0.0.5:99999"));
  for (const args of [["--check-config"], ["--listen", "0"]]) {
    const { code, stdout, stderr } = await dinpRouter("--routes", bad, ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(
      `error: The route file ${bad} cannot be used: routes[0].endpoints[0]: "10.0.0.5:99999"`,
    );
    expect(stderr).toContain("hint: A route looks like");
  }
  const missing = await dinpRouter("--routes", `${good}-none`, "--check-config");
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain("there is no such file");
  const usages: readonly (readonly [args: readonly string[], says: string])[] = [
    [[], "router.routes and table.url are both missing"],
    [["--routes", good, "--listen", "nowhere:99999"], '"nowhere:99999"'],
    [["--routes", good, "--drain", "10"], "router.drain must be a duration"],
    [["--routes", good, "--log-level", "loud"], '"loud"'],
    [["--rutes", good], "--rutes"],
    [["serve"], "serve"],
  ];
  for (const [args, says] of usages) {
    const { code, stderr } = await dinpRouter(...args);
    expect({ args, code }).toEqual({ args, code: 2 });
    expect(stderr).toContain(says);
  }
  expect((await dinpRouter("--help")).stdout).toContain("Usage: dinp-router [--config FILE] [settings]");
});

test("a port that is taken is told", async () => {
  const taken = await startApp("taken");
  const { code, stderr } = await dinpRouter("--routes", await routeFile(routesTo(taken)), "--listen", taken);
  expect(code).toBe(1);
  expect(stderr).toContain("is taken");
});

function dinpRouter(...args: readonly string[]) {
  return runProgram(process.execPath, [program, ...args], { timeoutMs: 120_000 });
}

function routesTo(endpoint: string): string {
  return JSON.stringify({ routes: [{ host: "shop.test", app: "shop", endpoints: [endpoint] }] });
}

async function routeFile(text: string): Promise<string> {
  const { path, remove } = await temporaryFolder();
  onTestFinished(remove);
  const file = join(path, "routes.json");
  await writeFile(file, text);
  return file;
}
