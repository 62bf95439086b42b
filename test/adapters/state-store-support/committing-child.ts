import { spawn } from "node:child_process";
import { createPgliteStateStore } from "@dinp/core/pglite";

/**
 * Commits to the store in argv[2] as fast as it can, and tells its parent of each commit that was acknowledged; commits nothing
 * where argv[3] is `none`.
 * It also has a child of its own, which outlives it: what is held must not be inherited.
 */
const [, , dataDir = "", round = "0"] = process.argv;
const store = createPgliteStateStore({ dataDir });
await store.open();
const heir = spawn("sleep", ["600"], { stdio: "ignore", detached: true });
process.send?.({ type: "open", heir: heir.pid });

let sequence = 0;

async function write(name: string): Promise<never> {
  for (;;) {
    sequence += 1;
    const key = `${round}-${name}-${String(sequence)}`;
    const { revision } = await store.commit([
      { op: "put", kind: "setting", value: { key, value: key } },
      { op: "put", kind: "setting", value: { key: `last-${name}`, value: key } },
    ]);
    process.send?.({ type: "acknowledged", key, revision });
  }
}

if (round === "none") setInterval(() => undefined, 60_000);
else await Promise.all(["a", "b", "c", "d"].map((name) => write(name)));
