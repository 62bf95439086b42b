import { acquireFolderLock } from "../../../src/adapters/pglite/folder-lock.js";

/** Takes the lock of the folder in argv[2] as on the platform in argv[3], and holds it until it is killed. */
const [, , folder = "", platform = "linux"] = process.argv;
await acquireFolderLock(folder, platform === "linux" ? "linux" : "darwin");
process.send?.({ type: "locked" });
setInterval(() => undefined, 60_000);
