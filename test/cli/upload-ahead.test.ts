import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packDirectory } from "@dinp/core/tar";
import type { PackDirectory } from "../../src/adapters/cli/index.js";
import { expect, it, onTestFinished } from "vitest";
import { runCli, type CliRun } from "./run-cli.js";

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "dinp-ahead-"));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  writeFileSync(join(folder, "server.js"), "0");
  return folder;
}

/** An API that answers who asks when `ready` resolves, and refuses all uploads. */
async function serve(isTokenGood: boolean, ready: Promise<unknown>): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    void ready.then(() => {
      const isRefused = request.url !== "/v1/session" || !isTokenGood;
      const error = { code: isTokenGood ? "DINP_BUSY" : "DINP_UNAUTHENTICATED", message: "Not now." };
      response.statusCode = isRefused ? 503 : 200;
      response.end(JSON.stringify(isRefused ? { error } : { subject: "admin", role: "admin" }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return `http://127.0.0.1:${String(typeof address === "object" && address !== null ? address.port : 0)}`;
}

async function push(folder: string, api: string, pack: PackDirectory = packDirectory): Promise<CliRun> {
  return await runCli(["push", folder, "--app", "a"], {
    env: { DINP_API: api, DINP_TOKEN: "x" },
    options: { packDirectory: pack },
  });
}

it("looks at the folder while the API is asked for the token", async () => {
  let onLooked = (): void => undefined;
  const looked = new Promise<void>((resolve) => (onLooked = resolve));
  const run = await push(makeFolder(), await serve(true, looked), async (...args) => {
    const packed = await packDirectory(...args);
    onLooked();
    return packed;
  });
  expect(run.err).toMatch(/^Pushing .* to a .*\nerror: Not now\.\n/);
});

it("says that the token is bad before what is wrong with the folder, whichever is known first", async () => {
  const folder = makeFolder();
  const socket = createSocket().listen(join(folder, "socket"));
  await once(socket, "listening");
  onTestFinished(() => {
    socket.close();
  });
  let onLooked = (): void => undefined;
  const looked = new Promise<void>((resolve) => (onLooked = resolve));
  const refused = await push(folder, await serve(false, looked), (...args) =>
    packDirectory(...args).finally(onLooked),
  );
  expect(refused.err).toMatch(/^error: Not now\.\n/);
  const taken = await push(folder, await serve(true, Promise.resolve()));
  expect(taken.err).toMatch(/^Pushing .*\nerror: Cannot pack "socket"/);
});

it("stops looking at the folder when the API refuses", async () => {
  let stopped = false;
  const refused = await push(makeFolder(), await serve(false, Promise.resolve()), (_folder, { signal }) => {
    return new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => {
        stopped = true;
        reject(new Error("aborted"));
      });
    });
  });
  expect(refused.err).toMatch(/^error: Not now\.\n/);
  expect(stopped).toBe(true);
});
