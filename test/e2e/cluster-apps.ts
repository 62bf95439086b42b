import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ServerProgram, TestCluster } from "./cluster-support.js";
import { eventually } from "./harness.js";

export interface Instance {
  readonly id: string;
  readonly ready: boolean;
  readonly node: string;
  readonly startedAt: number;
  readonly desired: "running" | "draining" | "stopped";
  readonly endpoint: string | null;
}

export interface InstanceList {
  readonly items: readonly Instance[];
}

/** Answers with its instance's id. */
const ECHO = `
require("node:http")
  .createServer((request, response) => response.end(process.env.DINP_INSTANCE_ID))
  .listen(process.env.PORT);
console.log("it listens");
`;

/** Two servers, at both of which the cluster's user is logged in. */
export async function twoServers(
  cluster: TestCluster,
  ...flags: readonly string[]
): Promise<readonly [ServerProgram, ServerProgram]> {
  const first = await cluster.server("s1", ...flags);
  await cluster.login(first);
  const second = await cluster.server("s2", ...flags);
  await loginAt(cluster, first, second);
  return [first, second];
}

/** As the first server, `s1`, has made it. */
export async function adminToken(cluster: TestCluster): Promise<string> {
  return (await readFile(join(cluster.folder, "s1", "admin-token"), "utf8")).trim();
}

/** Pushes an app whose instances say who they are. */
export async function pushEcho(
  cluster: TestCluster,
  by: ServerProgram,
  name: string,
  instances: number,
): Promise<void> {
  const source = join(cluster.folder, `source-${name}`);
  await mkdir(source, { recursive: true });
  await writeFile(join(source, "server.js"), ECHO);
  const wanted = ["--app", name, "--instances", String(instances), "--memory", "64M"];
  await cluster.ok(by, ["push", source, "--no-wait", ...wanted]);
}

export async function instancesOf(
  cluster: TestCluster,
  by: ServerProgram,
  app: string,
): Promise<readonly Instance[]> {
  return (await cluster.json<InstanceList>(by, "instances", app)).items;
}

/** Waits until the app has exactly so many instances, all of them ready. */
export async function readyInstances(
  cluster: TestCluster,
  by: ServerProgram,
  app: string,
  count: number,
  timeoutMs = 120_000,
): Promise<readonly Instance[]> {
  const asked = async (): Promise<readonly Instance[] | undefined> => {
    const items = await instancesOf(cluster, by, app);
    return items.length === count && items.every((instance) => instance.ready) ? items : undefined;
  };
  return await eventually(`${app} has ${String(count)} ready instances`, asked, timeoutMs);
}

export const idsOf = (instances: readonly Instance[]): readonly string[] =>
  instances.map(({ id }) => id).sort();

/** The user of the cluster, whom its first server knows, is logged in at another one as well. */
export async function loginAt(
  cluster: TestCluster,
  first: ServerProgram,
  other: ServerProgram,
): Promise<void> {
  const token = await readFile(join(cluster.folder, first.name, "admin-token"), "utf8");
  await cluster.ok(other, ["login"], token);
}

/** A value of a program's `/metrics`; 0 when it is not there. */
export async function metric(observeUrl: string, name: string): Promise<number> {
  const answer = await fetch(`${observeUrl}/metrics`, { signal: AbortSignal.timeout(30_000) });
  const line = (await answer.text()).split("\n").find((each) => each.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
}
