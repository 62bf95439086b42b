import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { freePort } from "../../scripts/lib/services/ports.mjs";

const apps = fileURLToPath(new URL("../../examples/apps/", import.meta.url));

/** Runs an example as the platform would: a bare environment, a port, a folder. Resolves once it answers. */
async function startApp(name: string, command: readonly [string, ...string[]]) {
  const port = await freePort();
  const child = spawn(command[0], command.slice(1), {
    cwd: `${apps}${name}`,
    env: {
      PATH: process.env["PATH"] ?? "",
      PORT: String(port),
      DINP_APP: "demo",
      DINP_INSTANCE_ID: "ins-<1>",
      DINP_RELEASE: "7",
      DINP_NODE: "node-a",
      GREETING: "good day",
    },
    stdio: "ignore",
  });
  const exited = once(child, "exit") as Promise<[number | null, string | null]>;
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const url = `http://127.0.0.1:${String(port)}`;
  await expect
    .poll(() => fetch(`${url}/healthz`).then((answer) => answer.status), { timeout: 60_000 })
    .toBe(200);
  return { url, stop: () => (child.kill("SIGTERM"), exited) };
}

test("hello shows who answers, escapes it, survives odd paths and ends at SIGTERM", async () => {
  const { url, stop } = await startApp("hello", ["node", "server.js"]);
  const answer = await fetch(`${url}/?a=b`);
  const page = await answer.text();
  expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(answer.headers.get("x-instance")).toBe("ins-<1>");
  for (const text of ["demo is running", "ins-&lt;1&gt;", "<dd>7</dd>", "node-a"])
    expect(page).toContain(text);
  expect((await fetch(`${url}//`)).status).toBe(404);
  expect(await stop()).toEqual([0, null]);
});

test("python shows who answers and its environment, and ends at SIGTERM", async () => {
  const { url, stop } = await startApp("python", ["python3", "-u", "main.py"]);
  const answer = await fetch(url);
  expect(answer.headers.get("x-instance")).toBe("ins-<1>");
  expect(await answer.text()).toBe("demo: release 7, instance ins-<1>\n");
  expect(await fetch(`${url}/env/GREETING`).then((one) => one.text())).toBe("good day\n");
  expect((await fetch(`${url}/env/MISSING`)).status).toBe(404);
  expect((await fetch(`${url}/other`)).status).toBe(404);
  expect(await stop()).toEqual([0, null]);
});
