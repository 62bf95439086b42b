import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { ensureBuilt } from "../../../scripts/build.mjs";
import { ensureInstalled } from "../../../scripts/ensure-installed.mjs";
import { withLock } from "../../../scripts/lib/services/lock.mjs";
import { identify, MARK, recordProcess } from "../../../scripts/lib/services/owned-process.mjs";
import { ensurePackages } from "../../../scripts/lib/services/packages.mjs";
import { StepFailed } from "../../../scripts/lib/step.mjs";
import { appPackages, askApps, pushApps } from "./apps.mjs";
import { backingPackages, startBackingServices } from "./backing-services.mjs";
import { writeConfiguration } from "./configuration.mjs";
import { removeCluster, UP } from "./down.mjs";
import { enginePackages, startNodeEngine } from "./engines.mjs";
import { makeNetwork } from "./network.mjs";
import { makePlan, nodesOf, readPlan } from "./plan.mjs";
import {
  joinTokenPath,
  programFolder,
  programsOf,
  programsOfKind,
  routerTokenPath,
  startProgram,
} from "./programs.mjs";
import { isWhole } from "./status.mjs";
import { dinp, userEnvironment } from "./user.mjs";

/** @typedef {import("./plan.mjs").Plan} Plan */

const TOKEN_MS_MAX = 30_000;

/** @param {string} text */
function say(text) {
  process.stderr.write(`${text}\n`);
}

/**
 * Starts a cluster whose data is in `folder`, and pushes the example's apps; leaves one that runs as it is. What an
 * earlier one left is removed first. When it fails, what was started stays, with its logs, until it is taken down.
 *
 * @param {string} folder
 * @param {import("./plan.mjs").StoreName} store
 */
export async function bringUp(folder, store) {
  // So that what this process runs is found as well, should it be killed.
  process.env[MARK] = folder;
  await withLock(folder, async () => {
    const known = readPlan(folder);
    if (known !== null && (await isWhole(known))) {
      if (known.store !== store)
        throw new StepFailed(`It runs on ${known.store}: take it down first, or leave --store as it was.`, 1);
      say("It is up already.");
      return;
    }
    await ensureInstalled();
    await ensureBuilt();
    await ensurePackages([...backingPackages(store), ...enginePackages, ...appPackages]);
    if (known !== null) await removeCluster(known);
    try {
      await make(folder, store);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new StepFailed(`${why}\nWhat was started is in ${folder}; "down" removes it.`, 1);
    }
  });
}

/** @param {string} folder @param {import("./plan.mjs").StoreName} store */
async function make(folder, store) {
  const plan = await makePlan(folder, store);
  const self = identify(process.pid);
  if (self !== null) recordProcess(folder, UP, self);
  await makeNetwork(plan);
  say(`network 10.${plan.network}.0.0/16`);
  await Promise.all([startBackingServices(plan), ...nodesOf(plan).map(startNodeEngine)]);
  say(`${store}, Redis, a registry, and a Docker engine on each node`);
  writeConfiguration(plan);
  for (const server of programsOfKind(plan, "dinp-server")) await start(plan, server);
  await logIn(plan);
  const others = programsOf(plan).filter(({ kind }) => kind !== "dinp-server");
  for (const program of others) await start(plan, program);
  await pushApps(plan, say);
  await askApps(plan, say);
  sayHowToUse(plan);
}

/** @param {Plan} plan @param {import("./programs.mjs").Program} program */
async function start(plan, program) {
  mkdirSync(programFolder(plan, program), { recursive: true, mode: 0o711 });
  await startProgram(plan, program);
  say(`${program.name}: ${program.kind} on ${program.address}`);
}

/** Logs in by the token that the first server made, and lets machines become nodes and routers. @param {Plan} plan */
async function logIn(plan) {
  await dinp(plan, ["login"], readFileSync(await adminToken(plan), "utf8"));
  const tokens = [
    { path: joinTokenPath(plan), command: ["nodes", "join-token"] },
    { path: routerTokenPath(plan), command: ["routers", "token"] },
  ];
  for (const { path, command } of tokens) writeFileSync(path, await dinp(plan, command), { mode: 0o600 });
}

/** The file of the token: a server that is ready may still be making it. @param {Plan} plan */
async function adminToken(plan) {
  const places = programsOfKind(plan, "dinp-server").map((server) =>
    join(programFolder(plan, server), "data/admin-token"),
  );
  const end = performance.now() + TOKEN_MS_MAX;
  for (;;) {
    const made = places.find((path) => existsSync(path));
    if (made !== undefined) return made;
    if (performance.now() > end) throw new Error(`No server made an admin token: ${places.join(", ")}.`);
    await delay(50);
  }
}

/** @param {Plan} plan */
function sayHowToUse(plan) {
  const variables = Object.entries(userEnvironment(plan)).map(([name, value]) => `  export ${name}=${value}`);
  const [router] = programsOfKind(plan, "dinp-router");
  say(`\nIt is up. To use it:\n${variables.join("\n")}\n  npx dinp apps`);
  say(`  curl -H 'Host: hello.apps.localhost' http://${router?.address ?? ""}:8080/`);
}
