import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createHttpProber } from "@dinp/core/http";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { proberSuite } from "@dinp/core/testing";
import { starvedHttpProber } from "./support/starved-prober.js";

const check = { type: "http", path: "/", statusMin: 200, statusMax: 499 } as const;

describe("createHttpProber", () => {
  it.each(proberSuite({ create: () => createHttpProber(), createStarved: starvedHttpProber }))(
    "$name",
    ({ run }) => run(),
  );

  it("says unknown when its turn does not come, and takes its turn when it does", async () => {
    const server = createServer((socket) => {
      socket.resume();
      socket.on("error", () => {});
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = address !== null && typeof address !== "string" ? address.port : 0;
    const prober = createHttpProber({ maxConcurrent: 1 });
    const { signal } = new AbortController();
    const abort = new AbortController();
    const probe = (timeoutMs: number, type: "http" | "tcp", aborted = signal) =>
      prober.probe({ host: "127.0.0.1", port, check: { ...check, type } }, { timeoutMs, signal: aborted });
    const first = expect(probe(600_000, "http", abort.signal)).rejects.toMatchObject({
      code: "DINP_ABORTED",
    });
    const second = probe(50, "http");
    const third = probe(600_000, "tcp");
    expect(await second).toMatchObject({ outcome: "unknown" });
    abort.abort();
    await first;
    expect((await third).outcome).toBe("success");
    await new Promise((resolve) => server.close(resolve));
  });

  it("says unknown, not failure, when its own process stood still past the time-out", async () => {
    const server = createServer((socket) => {
      socket.resume();
      socket.on("error", () => {});
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = address !== null && typeof address !== "string" ? address.port : 0;
    const { signal } = new AbortController();
    const probing = createHttpProber().probe({ host: "127.0.0.1", port, check }, { timeoutMs: 50, signal });
    await new Promise((resolve) => setTimeout(resolve, 10));
    const end = performance.now() + 600;
    while (performance.now() < end);
    expect(await probing).toMatchObject({ outcome: "unknown" });
    await new Promise((resolve) => server.close(resolve));
  });

  it("says unknown when the process has no file descriptor left", async () => {
    const folder = await mkdtemp(join(tmpdir(), "dinp-prober-"));
    const program = join(folder, "probe.mjs");
    await build({
      stdin: {
        contents: `
          import { openSync } from "node:fs";
          import { connect } from "node:net";
          import { createHttpProber } from "@dinp/core/http";
          const prober = createHttpProber();
          const { signal } = new AbortController();
          const connectError = () => new Promise((resolve) => {
            const socket = connect({ host: "127.0.0.1", port: 1 });
            socket.once("error", ({ code }) => resolve(code));
          });
          // What was open while the program began may be closed at any time, and leave room again: a probe counts when there is
          // still none after it.
          const check = ${JSON.stringify(check)};
          let result;
          for (let tries = 0; ; tries += 1) {
            if (tries === 1000) throw new Error("There is always a descriptor left.");
            try { for (;;) openSync("/dev/null", "r"); } catch {}
            result = await prober.probe({ host: "127.0.0.1", port: 1, check }, { timeoutMs: 1000, signal });
            if ((await connectError()) === "EMFILE") break;
          }
          process.stdout.write(JSON.stringify(result));`,
        resolveDir: process.cwd(),
      },
      bundle: true,
      platform: "node",
      format: "esm",
      outfile: program,
      logLevel: "silent",
    });
    const { stdout } = await promisify(execFile)("sh", ["-c", `ulimit -n 64; exec node ${program}`]);
    expect(stdout).toMatch(/"outcome":"unknown","reason":"[^"]*EMFILE/);
    await rm(folder, { recursive: true });
  });
});
