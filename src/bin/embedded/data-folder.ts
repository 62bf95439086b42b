import { chmod, mkdir, realpath, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { DinpError, messageOf } from "@dinp/core";

/** Where a platform keeps all that it must not lose, and what its instances run from. */
export interface DataFolder {
  readonly root: string;
  /** The state store; nobody else may read it. */
  readonly store: string;
  /** Images. */
  readonly registry: string;
  /** The agent's few values. */
  readonly agent: string;
  /** Unpacked images and instances: instances of other users must be able to pass through. */
  readonly node: string;
}

/** `/var/lib/dinp` for root, `$XDG_DATA_HOME/dinp` or `~/.local/share/dinp` for others. */
export function defaultDataFolder(env: Readonly<Record<string, string | undefined>>): string {
  if (isRoot()) return "/var/lib/dinp";
  const configured = env["XDG_DATA_HOME"] ?? "";
  return join(configured === "" ? join(homedir(), ".local", "share") : configured, "dinp");
}

/** Makes the folders with their modes. `DINP_INVALID` when instances could not get at their files. */
export async function prepareDataFolder(path: string): Promise<DataFolder> {
  const root = resolve(path);
  try {
    await mkdir(root, { recursive: true });
    const folder: DataFolder = {
      root,
      store: join(root, "store"),
      registry: join(root, "registry"),
      agent: join(root, "agent"),
      node: join(root, "node"),
    };
    await chmod(root, 0o711);
    for (const secret of [folder.store, folder.registry, folder.agent]) {
      await mkdir(secret, { recursive: true, mode: 0o700 });
      await chmod(secret, 0o700);
    }
    await mkdir(folder.node, { recursive: true, mode: 0o711 });
    if (isRoot()) await assertPassable(root);
    return folder;
  } catch (error) {
    if (error instanceof DinpError) throw error;
    throw new DinpError("DINP_INVALID", `The data folder ${root} cannot be used: ${messageOf(error)}`, {
      cause: error,
      hint: "Choose a folder that this user may write to, with --data DIR.",
    });
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Run by root, instances have users of their own: each folder on the way must let others pass. */
async function assertPassable(root: string): Promise<void> {
  for (let folder = await realpath(root); ; folder = dirname(folder)) {
    const { mode } = await stat(folder);
    if ((mode & 0o001) === 0) {
      throw new DinpError(
        "DINP_INVALID",
        `Apps run as users of their own and cannot get to ${root}: ${folder} lets no other user pass.`,
        { hint: `Choose another data folder with --data DIR, or run: chmod o+x ${folder}` },
      );
    }
    if (folder === dirname(folder)) return;
  }
}
