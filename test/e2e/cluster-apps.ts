import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ServerProgram, TestCluster } from "./cluster-support.js";
import { eventually } from "./harness.js";

export interface Instance {
  readonly id: string;
  readonly ready: boolean;
  readonly node: string;
  readonly startedAt: number;
}

/** Answers with its instance's id. */
const ECHO = `
require("node:http")
  .createServer((request, response) => response.end(process.env.DINP_INSTANCE_ID))
  .listen(process.env.PORT, "127.0.0.1");
console.log("it listens");
`;

export async function push(
  cluster: TestCluster,
  by: ServerProgram,
  name: string,
  instances: number,
): Promise<void> {
  const source = join(cluster.folder, `source-${name}`);
  await mkdir(source, { recursive: true });
  await writeFile(join(source, "server.js"), ECHO);
  const size = ["--instances", String(instances), "--memory", "64M"];
  await cluster.ok(by, ["push", source, "--no-wait", "--app", name, ...size]);
}

export async function instancesOf(
  cluster: TestCluster,
  by: ServerProgram,
  app: string,
): Promise<readonly Instance[]> {
  const { items } = await cluster.json<{ readonly items: readonly Instance[] }>(by, "instances", app);
  return items;
}

/** Resolves when the app has exactly so many instances, all of them ready. */
export function ready(
  cluster: TestCluster,
  by: ServerProgram,
  app: string,
  count: number,
): Promise<readonly Instance[]> {
  return eventually(
    `${app} has ${String(count)} ready instances`,
    async () => {
      const items = await instancesOf(cluster, by, app);
      return items.length === count && items.every((instance) => instance.ready) ? items : undefined;
    },
    40_000,
  );
}

export function ids(instances: readonly Instance[]): readonly string[] {
  return instances.map(({ id }) => id).sort();
}

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
  const answer = await fetch(`${observeUrl}/metrics`, { signal: AbortSignal.timeout(5_000) });
  const line = (await answer.text()).split("\n").find((each) => each.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
}
