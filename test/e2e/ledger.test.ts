import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, projectRoot, temporaryFolder, TestPlatform } from "./harness.js";

const WRITERS = 8;
const KILLS = 20;
const KILLS_WITH_WRITES_MIN = 15;

interface Entry {
  readonly app: string;
  readonly number: number;
  readonly release: number;
}

/** Another process's account of what the API acknowledged. */
class Ledger {
  readonly acknowledged: Entry[] = [];
  readonly refused: string[] = [];
  readonly inFlight = new Set<string>();
  lost = 0;
  readonly #child;
  readonly #closed: Promise<void>;

  constructor(apiUrl: string, token: string, apps: readonly string[]) {
    const keeper = join(projectRoot, "test/e2e/ledger-keeper.mjs");
    this.#child = spawn(process.execPath, [keeper, apiUrl, token, ...apps], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const lines = createInterface({ input: this.#child.stdout });
    lines.on("line", (line) => {
      const [what, writer, number, release] = line.split(" ");
      const key = `${String(writer)}/${String(number)}`;
      if (what === "start") this.inFlight.add(key);
      else this.inFlight.delete(key);
      const app = apps[Number(writer)] ?? "none";
      if (what === "ack") this.acknowledged.push({ app, number: Number(number), release: Number(release) });
      if (what === "lost") this.lost += 1;
      if (what === "refused") this.refused.push(line);
    });
    this.#closed = new Promise((resolve) => {
      lines.once("close", () => {
        resolve();
      });
    });
  }

  async end(): Promise<void> {
    this.#child.stdin.end();
    await this.#closed;
  }
}

describe("acknowledged writes", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: TestPlatform;
  const apps = Array.from({ length: WRITERS }, (_, i) => `ledger-${String(i)}`);

  beforeAll(async () => {
    folder = await temporaryFolder();
    platform = await TestPlatform.in(folder.path);
    await platform.start();
    const source = join(folder.path, "source");
    await mkdir(source);
    await writeFile(
      join(source, "server.js"),
      `require("node:http").createServer().listen(process.env.PORT);\n`,
    );
    for (const app of apps) {
      await platform.ok("push", source, "--app", app, "--no-wait");
      await platform.ok("stop", app, "--no-wait");
    }
  }, 480_000);

  afterAll(async () => {
    await platform.dispose();
    await folder.remove();
  });

  test(`${String(WRITERS)} writers, kill -9 at ${String(KILLS)} random moments: every acknowledged write is there`, async () => {
    const credentials = JSON.parse(
      await readFile(join(folder.path, "config/dinp/credentials.json"), "utf8"),
    ) as { readonly tokens: Readonly<Record<string, string>> };
    const ledger = new Ledger(platform.apiUrl, credentials.tokens[platform.apiUrl] ?? "", apps);
    let killsWithWrites = 0;
    const moments: number[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const before = ledger.acknowledged.length;
      await eventually("writes are acknowledged", () => ledger.acknowledged.length > before);
      const moment = randomInt(1, 300);
      moments.push(moment);
      await new Promise((resolve) => setTimeout(resolve, moment));
      const lost = ledger.lost;
      await platform.end("SIGKILL");
      await eventually("the writers noticed", () => ledger.inFlight.size === 0);
      if (ledger.lost > lost) killsWithWrites += 1;
      await platform.start();
    }
    await ledger.end();
    console.log(
      `kills at ${moments.join(", ")} ms; ${String(killsWithWrites)} of ${String(KILLS)} with writes in flight; ` +
        `${String(ledger.acknowledged.length)} acknowledged, ${String(ledger.lost)} unanswered`,
    );
    expect(ledger.refused).toEqual([]);
    expect(killsWithWrites).toBeGreaterThanOrEqual(KILLS_WITH_WRITES_MIN);
    expect(ledger.acknowledged.length).toBeGreaterThan(KILLS);

    for (const app of apps) {
      const { env } = await platform.json<{ env: Record<string, string> }>("env", app);
      const { items } = await platform.json<{ items: { number: number; envNames: string[] }[] }>(
        "releases",
        app,
      );
      const releases = new Map(items.map((release) => [release.number, release]));
      for (const entry of ledger.acknowledged.filter((candidate) => candidate.app === app)) {
        const name = `W${String(entry.number)}`;
        expect(env[name], `${app} ${name}`).toBe(`${app}-${String(entry.number)}`);
        expect(releases.get(entry.release)?.envNames).toContain(name);
      }
    }
  }, 1_200_000);
});
