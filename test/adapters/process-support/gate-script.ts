// Starts a process behind the gate and is killed before it lets it through.
import { openSync } from "node:fs";
import { launch } from "../../../src/adapters/process/launcher.js";

const [marker = "", log = ""] = process.argv.slice(2);
const { pid } = await launch({
  argv: ["/usr/bin/touch", marker],
  env: { PATH: "/usr/bin:/bin" },
  cwd: "/",
  uid: null,
  output: openSync(log, "a"),
  setpriv: null,
});
process.stdout.write(`${String(pid)}\n`);
setInterval(() => undefined, 1_000);
