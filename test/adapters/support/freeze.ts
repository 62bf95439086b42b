import { readdir, readFile } from "node:fs/promises";
import { until } from "./until.js";

/**
 * Stops a process (SIGSTOP); resolves when all of its threads stand still. Until the signal is taken by one of them the others
 * go on, and on a busy machine they still answer.
 */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  await until(() => standsStill(pid), `the stop of process ${String(pid)}`);
}

async function standsStill(pid: number): Promise<boolean> {
  const threads = `/proc/${String(pid)}/task`;
  for (const thread of await readdir(threads)) {
    // See proc(5): the state follows the name in parentheses, which may hold anything.
    const stat = await readFile(`${threads}/${thread}/stat`, "utf8").catch(() => ") T");
    if (!/^T/.test(stat.slice(stat.lastIndexOf(")") + 2))) return false;
  }
  return true;
}
