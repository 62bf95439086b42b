import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processesWith, runProgram } from "./harness.js";

/** A cluster of `examples/cluster`. */
interface Cluster {
  readonly id: string;
  readonly network: number;
  readonly folder: string;
}

/** What a cluster has on this machine outside of its folder, and the folder; by kind. */
export async function tracesOf(cluster: Cluster): Promise<Readonly<Record<string, readonly string[]>>> {
  const { id, network, folder } = cluster;
  const own = (lines: readonly string[]): readonly string[] =>
    lines.filter((line) => [id, folder, `10.${String(network)}.`].some((mark) => line.includes(mark)));
  const database = createHash("sha256").update(join(folder, "database")).digest("hex").slice(0, 12);
  const processes = await processesWith(`DINP_SERVICE_FOLDER=${folder}`);
  return {
    namespaces: own(await linesOf("ip", "netns")),
    links: own(await linesOf("ip", "-o", "link")),
    addresses: own(await linesOf("ip", "-o", "-4", "address")),
    routes: own(await linesOf("ip", "-4", "route")),
    mounts: own((await readFile("/proc/self/mountinfo", "utf8")).split("\n")),
    cgroups: own(await cgroupNames()),
    sockets: own(await readdir("/run")),
    processes: [...processes.map(String), ...own(await commands())],
    database: (await readdir(tmpdir())).filter((name) => name.startsWith(`dinp-postgres-${database}`)),
    folder: await readdir(folder).catch(() => []),
  };
}

async function linesOf(command: string, ...args: readonly string[]): Promise<readonly string[]> {
  const { code, stdout, stderr } = await runProgram(command, args);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${stderr}`);
  return stdout.split("\n");
}

/** Of every hierarchy. */
export async function cgroupNames(): Promise<readonly string[]> {
  const root = "/sys/fs/cgroup";
  const hierarchies = await readdir(root, { withFileTypes: true });
  const inner = hierarchies
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => readdir(join(root, name)));
  return [...hierarchies.map(({ name }) => name), ...(await Promise.all(inner)).flat()];
}

/** Containers are told by the command of the engine that keeps them. */
async function commands(): Promise<readonly string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const read = pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""));
  return (await Promise.all(read)).filter((command) => !command.includes("examples/cluster/run"));
}
