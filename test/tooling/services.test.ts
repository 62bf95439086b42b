import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  identify,
  isAlive,
  killStrays,
  readProcess,
  startProcess,
  stopProcess,
} from "../../scripts/lib/services/owned-process.mjs";
import { tryCommand } from "../../scripts/lib/services/command.mjs";
import {
  databaseService,
  makeDatabase,
  removeDatabase,
  type DatabaseServer,
} from "../../scripts/lib/services/database-service.mjs";
import { mariadbServer, mysqlServer } from "../../scripts/lib/services/mysql-server.mjs";
import { postgresServer } from "../../scripts/lib/services/postgres-server.mjs";
import { registryService } from "../../scripts/lib/services/registry.mjs";
import { missingServices } from "../../scripts/lib/services/variables.mjs";
import { describeWithServices } from "../support/services.js";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dinp-services-"));
});

afterEach(async () => {
  await killStrays(folder);
  await rm(folder, { recursive: true, force: true });
});

const sleeper = (code = ""): [string, ...string[]] => [
  process.execPath,
  "-e",
  `${code};setInterval(() => {}, 1000);require("fs").writeFileSync("up","")`,
];
const isUp = async (): Promise<boolean> => existsSync(join(folder, "up"));

describe("a command that takes too long", () => {
  it("is given up in time, also when what it started holds its output", async () => {
    // It lives until this test lets it go, or gives up.
    const release = join(folder, "release");
    const script = `echo begun; (while [ -d "${folder}" ] && [ ! -e "${release}" ]; do sleep 0.1; done) & wait`;
    // On a busy machine it may not begin in so short a time, which says nothing.
    let given = { code: 124, output: "" };
    for (let timeoutMs = 200; given.code === 124 && given.output === "" && timeoutMs < 60_000; timeoutMs *= 4)
      given = await tryCommand("sh", ["-c", script], { timeoutMs });
    expect(given).toEqual({ code: 124, output: "begun\n" });
    await writeFile(release, "");
  });
});

describe("a process that the services started", () => {
  it("is ended by SIGTERM, by SIGKILL when it does not listen, and also while it is stopped", async () => {
    const polite = await startProcess(folder, "polite", sleeper(), isUp);
    await rm(join(folder, "up"));
    const deaf = await startProcess(folder, "deaf", sleeper('process.on("SIGTERM", () => {})'), isUp);
    await rm(join(folder, "up"));
    const frozen = await startProcess(folder, "frozen", sleeper(), isUp);
    process.kill(frozen.pid, "SIGSTOP");
    await Promise.all(
      ["polite", "deaf", "frozen"].map((name) => stopProcess(folder, name, name === "deaf" ? 100 : 10_000)),
    );
    expect([polite, deaf, frozen].map(isAlive)).toEqual([false, false, false]);
  });

  it("is not mistaken for another that has its number by now", async () => {
    const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
    try {
      const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      const stale = { bootId, pid: other.pid ?? 0, startTicks: "1" };
      await writeFile(join(folder, "old.process.json"), JSON.stringify(stale));
      await stopProcess(folder, "old", 100);
      expect(other.exitCode ?? other.signalCode).toBeNull();
      expect(isAlive(stale)).toBe(false);
    } finally {
      other.kill("SIGKILL");
    }
  });

  it("takes what it started in turn with it", async () => {
    const code =
      'require("child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], {detached: true, stdio: "ignore"}).on("spawn", function () { require("fs").writeFileSync("child", String(this.pid)) })';
    const hasChild = async (): Promise<boolean> =>
      (await readFile(join(folder, "child"), "utf8").catch(() => "")) !== "";
    await startProcess(folder, "parent", sleeper(code), hasChild);
    const child = identify(Number(readFileSync(join(folder, "child"), "utf8")));
    await stopProcess(folder, "parent", 5_000);
    const lives = (): boolean => child !== null && isAlive(child);
    expect(lives()).toBe(true);
    await killStrays(folder);
    expect(lives()).toBe(false);
  });

  it("says how its log ends when it does not start", async () => {
    const dying = startProcess(
      folder,
      "dying",
      [process.execPath, "-e", "throw new Error('no such disk')"],
      isUp,
    );
    await expect(dying).rejects.toThrow(/dying ended before it answered[^]*no such disk/);
    await expect(startProcess(folder, "absent", [join(folder, "absent")], isUp)).rejects.toThrow(
      /absent.*ENOENT/,
    );
    expect(readProcess(folder, "absent")).toBeNull();
  });
});

describe("the services that tests need", () => {
  it("are missing when one of their variables is", () => {
    expect(missingServices({})).toEqual([
      "docker",
      "redis",
      "registry",
      "registry-tls",
      "postgres",
      "mysql",
      "mariadb",
    ]);
    expect(missingServices({ DINP_TEST_REGISTRY: "x", DINP_TEST_DOCKER_SOCKET: "x" })).toEqual([
      "docker",
      "redis",
      "registry-tls",
      "postgres",
      "mysql",
      "mariadb",
    ]);
  });
});

describeWithServices(["registry"], "a service", () => {
  it("answers where it says, and leaves nothing behind", async () => {
    const own = join(folder, "registry");
    await registryService.start(own);
    const url = registryService.environment(own)["DINP_TEST_REGISTRY"] ?? "";
    expect((await fetch(`${url}/v2/`)).status).toBe(200);
    expect(await registryService.isUp(own)).toBe(true);
    const server = readProcess(own, "docker-registry");
    await registryService.stop(own);
    await registryService.stop(own);
    expect(server !== null && isAlive(server)).toBe(false);
    expect(existsSync(own)).toBe(false);
    await expect(fetch(`${url}/v2/`)).rejects.toThrow();
  });
});

const databases: readonly DatabaseServer[] = [postgresServer, mysqlServer, mariadbServer];

/** A file as a server of the MySQL protocol leaves it for the statement that it is at; removes it at the end. */
async function withTemporaryFile(use: (path: string) => Promise<void>): Promise<void> {
  const path = join(tmpdir(), `#sql-${basename(folder)}.MAI`);
  await writeFile(path, "");
  try {
    await use(path);
  } finally {
    await rm(path, { force: true });
  }
}

for (const server of databases) {
  describeWithServices([server.name], `a ${server.name} service`, () => {
    it("answers where it says, and leaves nothing behind", async () => {
      const service = databaseService(server);
      const own = join(folder, server.name);
      await service.start(own);
      expect(await service.isUp(own)).toBe(true);
      expect(service.environment(own)[server.variable]).toMatch(
        /^[a-z]+:\/\/dinp:[0-9a-f]+@127\.0\.0\.1:\d+\//,
      );
      const process = readProcess(own, server.name);
      await service.stop(own);
      await service.stop(own);
      expect(process !== null && isAlive(process)).toBe(false);
      expect(existsSync(own)).toBe(false);
    }, 120_000);

    it("leaves the temporary files of others alone", async () => {
      const own = join(folder, server.name);
      await withTemporaryFile(async (file) => {
        await makeDatabase(server, own);
        await removeDatabase(server, own);
        expect(existsSync(file)).toBe(true);
      });
    }, 120_000);
  });
}
