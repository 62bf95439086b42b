// Runs the built programs: with vitest alone, run `npm run build` first.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, readlink, stat, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWithServices } from "../support/services.js";
import { adminToken, readyInstances, twoServers } from "./cluster-apps.js";
import { TestCluster, type ServerProgram } from "./cluster-support.js";
import { eventually, runProgram } from "./harness.js";

const MIB = 1024 ** 2;
const UPLOAD_BYTES = 100 * MIB;
const MORE_MEMORY_MAX_BYTES = 200 * MIB;

const TICKER = `
require("node:http").createServer((request, response) => response.end()).listen(process.env.PORT);
let tick = 0;
setInterval(() => console.log("tick " + String((tick += 1)) + "."), 250);
`;

describeWithServices(["registry"], "what takes long, asked of either server", ({ DINP_TEST_REGISTRY }) => {
  let cluster: TestCluster;

  beforeEach(async () => {
    cluster = await TestCluster.start(DINP_TEST_REGISTRY);
  }, 480_000);

  afterEach(() => cluster.dispose(), 480_000);

  test(
    "goes on, or says that it does not, when the leading server is killed",
    { timeout: 480_000 },
    async () => {
      const [first, second] = await twoServers(cluster, "--lost-after", "10m");
      await cluster.agent("n1", "23000-23099");
      const leader = await cluster.leader();
      const follower = leader === first ? second : first;
      await upload(follower, leader);

      const source = await sourceOf("ticker", TICKER);
      await cluster.ok(follower, ["push", source, "--no-wait", "--app", "shop", "--memory", "64M"]);
      const [instance] = await readyInstances(cluster, follower, "shop", 1);
      if (instance === undefined) throw new Error("no instance");
      const follow = ["logs", "shop", "--follow"];
      const command = ["exec", "shop", "--", "sh", "-c", "echo begun; sleep 1000; echo over"];
      const [logs, leadersLogs, exec] = await Promise.all([
        cluster.begin(follower, follow, /tick 1\./),
        cluster.begin(leader, follow, /tick 1\./),
        cluster.begin(follower, command, /begun/),
      ]);
      expect((await cluster.instanceProcesses()).length).toBeGreaterThan(1);
      await leader.end("SIGKILL");

      // Asked while nobody leads: a command is refused, a followed log waits and loses nothing for that.
      const [refused, late] = await Promise.all([
        cluster.dinp(follower, ["exec", "shop", "--", "true"]),
        cluster.begin(follower, [...follow, "-n", "1000"], /./),
      ]);
      expect([refused.code, refused.stdout]).toEqual([4, ""]);
      expect(refused.stderr).toContain("try again");
      expect(late.output).toContain("trying again");
      // A command ends with its client, wherever it runs.
      expect(await exec.ended()).toBe(4);
      expect(exec.output).toContain("How the command of shop ended is not known");
      expect(exec.output).not.toContain("over");

      await cluster.leader();
      await eventually("the log from its beginning", () => /tick 1\.[^]*tick 2\./.test(late.output));
      const sinceLost = (): string => logs.output.split("Lost the connection")[1] ?? "";
      await eventually("new lines", () => /tick \d+\.[^]*tick \d+\./.test(sinceLost()));
      expect(sinceLost()).toMatch(/^ to the API; trying again \(lines may be missing\)/);
      for (const { output } of [logs, late]) {
        const ticks = [...output.matchAll(/tick (\d+)\./g)].map(([, tick]) => Number(tick));
        expect(ticks).toEqual([...new Set(ticks)].sort((a, b) => a - b));
      }
      await eventually("only the instance runs", async () => {
        const processes = await cluster.instanceProcesses();
        return processes.length === 1 && processes[0]?.instance === instance.id;
      });
      expect((await cluster.ok(follower, ["exec", "shop", "--", "echo", "again"])).stdout).toBe("again\n");
      // The killed server does not come back: whoever asked it is told so in the end.
      expect(await leadersLogs.ended()).toBe(4);
      expect(leadersLogs.output).toMatch(/error: Cannot reach the API at .*connection refused/);
    },
  );

  async function sourceOf(name: string, script: string): Promise<string> {
    const folder = join(cluster.folder, `source-${name}`);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "server.js"), script);
    return folder;
  }

  /** A large upload takes the servers no memory, and one that is cut leaves nothing at them. */
  async function upload(follower: ServerProgram, leader: ServerProgram): Promise<void> {
    const source = await sourceOf("large", TICKER);
    await writeFile(join(source, "data"), randomBytes(UPLOAD_BYTES));
    const archive = join(cluster.folder, "large.tar");
    await runProgram("tar", ["-C", source, "-cf", archive, "."]);
    const servers = [follower, leader];
    const before = await Promise.all(servers.map(({ pid }) => memoryPeak(pid)));
    await cluster.ok(follower, ["build", archive, "--app", "large"]);
    const after = await Promise.all(servers.map(({ pid }) => memoryPeak(pid)));
    const more = after.map((bytes, index) => Math.round((bytes - (before[index] ?? 0)) / MIB));
    process.stdout.write(`an upload of 100 MiB took the servers ${more.join(" and ")} MiB\n`);
    for (const each of more) expect(each * MIB).toBeLessThan(MORE_MEMORY_MAX_BYTES);

    const { size } = await stat(archive);
    const authorization = `Bearer ${await adminToken(cluster)}`;
    const sending = request(`${follower.apiUrl}/v1/apps/cut/builds`, {
      method: "POST",
      headers: {
        authorization,
        "content-type": "application/octet-stream",
        "content-length": String(size),
      },
    });
    sending.on("error", () => undefined);
    const half = createReadStream(archive, { end: size / 2 });
    half.pipe(sending, { end: false });
    await once(half, "end");
    const stateOf = async (): Promise<string | undefined> => {
      const answer = await fetch(`${follower.apiUrl}/v1/builds?app=cut`, { headers: { authorization } });
      const { items } = (await answer.json()) as { items: { state: string }[] };
      return items[0]?.state;
    };
    await eventually("the build", async () => (await stateOf()) === "running");
    sending.destroy();
    await eventually("its end", async () => (await stateOf()) === "failed");
    for (const server of servers) {
      await eventually(
        `${server.name} has no temporary files`,
        async () => (await temporaryFiles(server)).length === 0,
      );
    }
  }

  /** With a name or, while they are open, without one. */
  async function temporaryFiles({ name, pid }: ServerProgram): Promise<readonly string[]> {
    const folder = join(cluster.folder, name, "uploads");
    const fds = `/proc/${String(pid)}/fd`;
    const open = await Promise.all((await readdir(fds)).map((fd) => readlink(join(fds, fd)).catch(() => "")));
    return [...(await readdir(folder)), ...open.filter((path) => path.startsWith(folder))];
  }
});

/** The most memory that a process has had, in bytes. */
async function memoryPeak(pid: number): Promise<number> {
  const status = await readFile(`/proc/${String(pid)}/status`, "utf8");
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
  if (kib === undefined) throw new Error("its memory is not known");
  return Number(kib) * 1024;
}
