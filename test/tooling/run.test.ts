import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";

const runner = new URL("../../scripts/lib/run.mjs", import.meta.url).href;

/**
 * A script that runs `program` (Node code) as `npm start` runs the platform, with its output and exit code. Its clock stands still:
 * all signals that it gets are close together.
 */
function startScript(program: string) {
  const script = `
    performance.now = () => 0;
    import { run } from ${JSON.stringify(runner)};
    process.exitCode = await run(process.execPath, ["-e", ${JSON.stringify(program)}]);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  const output = createInterface(child.stdout).on("line", (line) => lines.push(line));
  const ended = Promise.all([once(child, "exit"), once(output, "close")]).then(([[code]]) => code as unknown);
  return { child, lines, ended };
}

test("the program's exit code is the script's", async () => {
  expect(await startScript("process.exit(7)").ended).toBe(7);
});

test("a program that was killed ends the script as a shell would", async () => {
  expect(await startScript("process.kill(process.pid, 'SIGKILL')").ended).toBe(128 + 9);
});

test("a signal that comes twice is passed on once, and the script waits for the program's end", async () => {
  const { child, lines, ended } = startScript(`
    const alive = setInterval(() => {}, 1000);
    process.on("SIGINT", () => console.log("interrupted"));
    process.on("SIGUSR2", () => setTimeout(() => { clearInterval(alive); process.exitCode = 5; }, 300));
    console.log(process.pid);
  `);
  await expect.poll(() => lines).toHaveLength(1);
  const [pid = ""] = lines;
  child.kill("SIGINT");
  await expect.poll(() => lines, { interval: 5 }).toEqual([pid, "interrupted"]);
  child.kill("SIGINT");
  process.kill(Number(pid), "SIGUSR2");
  expect(await ended).toBe(5);
  expect(lines).toEqual([pid, "interrupted"]);
});
