import { randomBytes } from "node:crypto";
import { chown, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { isInstanceId } from "../runtime/spec-checks.js";
import { isNotThere } from "./durable-files.js";

/** The ids of instances in the folder; what is left of removed ones is removed. */
export async function listInstanceFolders(instancesDir: string): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const name of await readdir(instancesDir)) {
    if (isInstanceId(name)) ids.push(name);
    else if (name.startsWith(".removed-"))
      await rm(join(instancesDir, name), { recursive: true, force: true });
  }
  return ids.sort();
}

/** Removes an instance's folder so that no crash leaves half of it. */
export async function removeInstanceFolder(instancesDir: string, instanceId: string): Promise<void> {
  const doomed = join(instancesDir, `.removed-${instanceId}-${randomBytes(6).toString("hex")}`);
  try {
    await rename(join(instancesDir, instanceId), doomed);
  } catch (error) {
    if (isNotThere(error)) return;
    throw error;
  }
  await rm(doomed, { recursive: true, force: true });
}

/** Where an instance or a one-off may write. */
export interface OwnFolders {
  readonly homeDir: string;
  readonly temporaryDir: string;
}

/** The folders of its own of what has the folder `dir`. */
export function ownFolders(dir: string): OwnFolders {
  return { homeDir: join(dir, "home"), temporaryDir: join(dir, "tmp") };
}

/** Makes them anew, empty and the user's own. */
export async function makeOwnFolders(dir: string, uid: number | null): Promise<void> {
  const { homeDir, temporaryDir } = ownFolders(dir);
  for (const path of [homeDir, temporaryDir]) {
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { mode: 0o700 });
    if (uid !== null) await chown(path, uid, uid);
  }
}
