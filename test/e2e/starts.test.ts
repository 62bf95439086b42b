// Runs the built programs: with vitest alone, run `npm run build` first.
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { ClusterProgram } from "./cluster-program.js";
import { freePort, projectRoot, temporaryFolder } from "./harness.js";

async function started(program: string, flags: readonly string[], until: RegExp): Promise<ClusterProgram> {
  const made = new ClusterProgram(program, [join(projectRoot, `dist/bin/${program}.js`), ...flags], {
    ...process.env,
    NO_COLOR: "1",
  });
  onTestFinished(async () => {
    await made.end("SIGKILL");
  });
  await made.start(until);
  return made;
}

async function folder(): Promise<string> {
  const { path, remove } = await temporaryFolder();
  onTestFinished(remove);
  return path;
}

const registry = ["--registry-url", "http://127.0.0.1:9", "--registry-plain-http", "true"];

describe("how programs of a cluster start", () => {
  it(
    "a server whose database is away waits for it, and ends well when it is told to",
    { timeout: 480_000 },
    async () => {
      const flags = [
        ...[
          "--data-dir",
          await folder(),
          "--store-url",
          `postgres://dinp@127.0.0.1:${String(await freePort())}/dinp`,
        ],
        ...["--table-url", "redis://127.0.0.1:9", "--listen", "127.0.0.1:0", "--link-listen", "127.0.0.1:0"],
        ...registry,
      ];
      const server = await started("dinp-server", flags, /the database does not answer yet/);
      expect(await server.end("SIGTERM")).toBe(0);
      expect(server.output).not.toContain("error:");
    },
  );

  it(
    "an agent lets instances pass through its folder, whatever the umask says",
    { timeout: 480_000 },
    async () => {
      const usual = process.umask(0o077);
      onTestFinished(() => {
        process.umask(usual);
      });
      const flags = [
        ...["--id", "n1", "--cluster-id", "one", "--data-dir", join(await folder(), "data")],
        ...["--address", "127.0.0.1", "--runtime", "process", "--servers", "http://127.0.0.1:9"],
        ...["--plaintext", "true", ...registry],
      ];
      const agent = await started("dinp-agent", flags, /runs instances/);
      expect(await agent.end("SIGTERM")).toBe(0);
    },
  );

  it("an agent's folder is of one cluster, one node and one runtime", { timeout: 480_000 }, async () => {
    const dataDir = await folder();
    const flags = (id: string, cluster: string): readonly string[] => [
      ...["--id", id, "--cluster-id", cluster, "--data-dir", dataDir, "--address", "127.0.0.1"],
      ...["--runtime", "process", "--servers", "http://127.0.0.1:9", "--plaintext", "true", ...registry],
    ];
    const agent = await started("dinp-agent", flags("n1", "one"), /runs instances/);
    expect(await agent.end("SIGTERM")).toBe(0);
    for (const [id, cluster, problem] of [
      ["n1", "two", "cluster.id is two, but this folder's is one"],
      ["n2", "one", "agent.id is n2, but this folder's is n1"],
    ] as const) {
      const mixed = started("dinp-agent", flags(id, cluster), /runs instances/);
      await expect(mixed).rejects.toThrow(problem);
    }
  });

  it("an agent without its engine names its own flag for another", { timeout: 480_000 }, async () => {
    const dataDir = await folder();
    const flags = [
      ...["--id", "n1", "--data-dir", dataDir, "--address", "127.0.0.1"],
      ...["--servers", "https://127.0.0.1:9", "--docker-socket", join(dataDir, "none.sock"), ...registry],
    ];
    await expect(started("dinp-agent", flags, /runs instances/)).rejects.toThrow("--docker-socket PATH");
  });
});
