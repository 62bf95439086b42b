import { chmod } from "node:fs/promises";
import { join, resolve } from "node:path";
import { DinpError, messageOf } from "@dinp/core";
import { makeFolder } from "@dinp/core/cli";

/** Where a platform keeps all that it must not lose, and what its instances run from. */
export interface DataFolder {
  readonly root: string;
  /** The state store; nobody else may read it. */
  readonly store: string;
  /** Images. */
  readonly registry: string;
  /** Uploads while they are read, in files without names: nothing is ever seen in it. */
  readonly uploads: string;
  /** The file of the keys that stored secrets are sealed with. */
  readonly secretsKey: string;
  /** The agent's few values. */
  readonly agent: string;
  /** Unpacked images and instances: instances of other users must be able to pass through. */
  readonly node: string;
}

/** Makes the folders with their modes. */
export async function prepareDataFolder(path: string): Promise<DataFolder> {
  const root = resolve(path);
  try {
    await makeFolder(root);
    const folder: DataFolder = {
      root,
      store: join(root, "store"),
      registry: join(root, "registry"),
      uploads: join(root, "uploads"),
      secretsKey: join(root, "secrets.key"),
      agent: join(root, "agent"),
      node: join(root, "node"),
    };
    await chmod(root, 0o711);
    for (const secret of [folder.store, folder.registry, folder.uploads, folder.agent]) {
      await makeFolder(secret, 0o700);
      await chmod(secret, 0o700);
    }
    await makeFolder(folder.node, 0o711);
    // Whatever the umask says: instances of other users pass through.
    await chmod(folder.node, 0o711);
    return folder;
  } catch (error) {
    if (error instanceof DinpError) throw error;
    throw new DinpError("DINP_INVALID", `The data folder ${root} cannot be used: ${messageOf(error)}`, {
      cause: error,
      hint: "Choose a folder that this user may write to, with --data DIR.",
    });
  }
}
