// npm run bench:routes [-- --rounds N] [--store postgres] [--check]
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import type { Logger } from "@dinp/core";
import { createRedisRouteTable } from "@dinp/core/redis";
import { createSystemRandom } from "@dinp/core/system";
import { roundsOf } from "./lib/again.js";
import { percentile, type Recorder, runBench } from "./lib/bench.js";
import { ASKED, CHANGE_EVERY_MS, FIRST_ASKED_MS, measureAnswers, pause, POLL_MS } from "./routes/asking.js";
import { ControlPlane } from "./routes/control-plane.js";
import { HttpPoll } from "./routes/http-poll.js";
import { commitApps, commitRouters, hostOf, type Place, statusOf } from "./routes/records.js";
import { measurePublish } from "./routes/redis-limit.js";
import { RouterProcess } from "./routes/router-process.js";
import { makePlace, openStore } from "./store/places.js";

const ROUTERS = 20;
const ROUTES = 10_000;
/** Changes that nobody asks for: what they cost is measured. */
const UNASKED_CHANGES = 50;
/** How long a world that was just made is left alone: routers save their first table, and V8 then tidies up for some time. */
const SETTLE_MS = 30_000;
const argv = process.argv.slice(2);
const redisUrl = process.env["DINP_TEST_REDIS"] ?? "";
const storeName = argv.includes("--store") ? "postgres" : "memory";

const warn = (message: string, fields?: object): void => {
  console.error(message, fields ?? "");
};
const logger: Logger = { debug: () => undefined, info: () => undefined, warn, error: warn };

if (redisUrl === "") {
  console.error("Left out: routes needs redis: scripts/services up redis (not set: DINP_TEST_REDIS)");
  if (argv.includes("--check")) process.exitCode = 1;
} else {
  await runBench(
    {
      name: "routes",
      title:
        "From an agent's report that an instance is ready to its first answer through each of 20 routers, over Redis, with 10,000 routes",
      goals: { "from the report to the answer, p99": { atMost: 50 } },
      run,
    },
    argv,
  );
}

/** What is measured, made and let go of in order. */
interface World {
  readonly plane: ControlPlane;
  readonly routers: readonly RouterProcess[];
  readonly place: Place;
}

async function run(recorder: Recorder): Promise<void> {
  const undo: (() => unknown)[] = [];
  try {
    const changes = roundsOf(argv, 200);
    const world = await makeWorld(recorder, changes, undo);
    const limitMs = await measureLimits(recorder, world);
    await measureIdle(recorder, world);
    const next = ready(world);
    const p99Ms = await measureAnswers(recorder, world.routers, next, changes);
    await measureCosts(recorder, world, next);
    recorder.measure("from the report to the answer, p99 over the limits together", p99Ms / limitMs, "x");
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

async function makeWorld(recorder: Recorder, changes: number, undo: (() => unknown)[]): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "dinp-bench-routes-"));
  undo.push(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const at = await makePlace(storeName);
  if (at === null) throw new Error("There is no PostgreSQL: scripts/services up postgres.");
  undo.push(() => at.remove());
  const store = await openStore(storeName, at.at, 10);
  undo.push(() => store.close());
  const { server, place } = await startApp();
  undo.push(() => server.close());

  const apps = ROUTES + changes + UNASKED_CHANGES;
  const ids = Array.from({ length: ROUTERS }, (_, index) => `router-${String(index)}`);
  await commitApps(store, place, { apps, ready: ROUTES });
  await commitRouters(store, ids);
  const cluster = `bench-${randomBytes(6).toString("hex")}`;
  const table = createRedisRouteTable({ redis: { url: redisUrl }, cluster, random: createSystemRandom() });
  undo.push(() => table.close());
  const now = Date.now();
  const statuses = Array.from({ length: apps }, (_, number) => statusOf(number, number < ROUTES, place, now));
  const plane = await ControlPlane.start(store, table, logger, statuses);
  undo.push(() => plane.stop());
  const routers: RouterProcess[] = [];
  undo.push(() => Promise.all(routers.map((router) => router.stop())));
  // One after the other: each start takes a processor for a while.
  for (const id of ids) routers.push(await RouterProcess.start(id, folder, { url: redisUrl, cluster }));
  const world = { plane, routers, place };
  await Promise.all(
    routers.map(async ({ port }) => {
      const poll = new HttpPoll(port);
      if ((await poll.ask(hostOf(0))) !== 200) throw new Error("A router does not serve the table.");
      poll.close();
    }),
  );
  recorder.note(`${String(ROUTERS)} routers, ${String(ROUTES)} routes, state in ${storeName}`);
  recorder.note(
    `each change is asked for at ${String(ASKED)} routers in turn, from ${String(FIRST_ASKED_MS)} ms on every ${String(POLL_MS)} ms over one connection until they answer 200`,
  );
  return world;
}

/** The one server that all instances are. */
async function startApp(): Promise<{ readonly server: HttpServer; readonly place: Place }> {
  const server = createServer((_request, response) => response.end("here"));
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { server, place: { host: "127.0.0.1", port } };
}

/** What goes over Redis and is seen by asking takes as long as these together, when nothing is done with it: their sum. */
async function measureLimits(recorder: Recorder, { routers }: World): Promise<number> {
  const publishedMs = percentile(await measurePublish(redisUrl, ROUTERS, 100), 0.99);
  recorder.measure("limit, from PUBLISH to 20 subscribers, p99", publishedMs, "ms");
  const asked: number[] = [];
  for (const router of routers) {
    const poll = new HttpPoll(router.port);
    for (let index = 0; index < 10; index += 1) {
      const start = performance.now();
      await poll.ask(hostOf(index));
      asked.push(performance.now() - start);
    }
    poll.close();
  }
  const askedMs = percentile(asked, 0.99);
  recorder.measure("limit, one answer through a router, p99", askedMs, "ms");
  return publishedMs + POLL_MS + askedMs;
}

async function measureIdle(recorder: Recorder, { routers }: World): Promise<void> {
  await pause(SETTLE_MS);
  const before = cpuMs(routers);
  const start = performance.now();
  await pause(5_000);
  const share = (cpuMs(routers) - before) / (performance.now() - start);
  recorder.measure("all routers at rest: share of one processor", 100 * share, "%");
}

/** Reports one more ready instance at each call, and gives the host that is routed to it. */
function ready({ plane, place }: World): () => string {
  let number = ROUTES;
  return () => {
    const host = hostOf(number);
    plane.report(statusOf(number, true, place, Date.now()));
    number += 1;
    return host;
  };
}

/** Of changes that nobody asks for. */
async function measureCosts(recorder: Recorder, { routers }: World, next: () => string): Promise<void> {
  const before = [cpuMs(routers), process.cpuUsage()] as const;
  for (let change = 0; change < UNASKED_CHANGES; change += 1) {
    next();
    await pause(CHANGE_EVERY_MS);
  }
  recorder.measure(
    "processor time of one router for a change",
    (cpuMs(routers) - before[0]) / UNASKED_CHANGES / ROUTERS,
    "ms",
  );
  const { user, system } = process.cpuUsage(before[1]);
  recorder.measure(
    "processor time of the server for a change",
    (user + system) / 1_000 / UNASKED_CHANGES,
    "ms",
  );
}

function cpuMs(routers: readonly RouterProcess[]): number {
  return routers.reduce((sum, router) => sum + router.cpuMs, 0);
}
