import { spawn } from "node:child_process";

/**
 * Runs a command to its end, without a terminal, and gives its code (127 when there is no such program, 124 when it took
 * too long) and all that it printed.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ timeoutMs?: number, env?: NodeJS.ProcessEnv, input?: string }} [options]
 * @returns {Promise<{ code: number, output: string }>}
 */
export function tryCommand(command, args, options = {}) {
  const { timeoutMs = 30_000, env, input = "" } = options;
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ["pipe", "pipe", "pipe"],
      ...(env === undefined ? {} : { env }),
    });
    let output = "";
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
      // What it has started may hold the other ends, and go on.
      for (const stream of [child.stdout, child.stderr]) stream.destroy();
    }, timeoutMs);
    /** @param {number} code */
    const end = (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    };
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (/** @type {string} */ text) => {
        output = (output + text).slice(-1_000_000);
      });
    }
    child.on("error", (error) => {
      output += error.message;
      end(127);
    });
    child.on("close", (code) => end(isLate ? 124 : (code ?? 1)));
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

/**
 * What a command printed; rejects with that when it fails.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {Parameters<typeof tryCommand>[2]} [options]
 */
export async function runCommand(command, args, options) {
  const { code, output } = await tryCommand(command, args, options);
  if (code === 0) return output;
  throw new Error(`${command} ${args.join(" ")} ended with code ${code}: ${output.trim().slice(-2_000)}`);
}
