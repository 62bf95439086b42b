import { realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { DinpError } from "@dinp/core";

/**
 * Run by root, plain processes have users of their own: each folder on the way must let others pass. `DINP_INVALID` names one
 * that does not.
 */
export async function assertPassable(root: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  for (let folder = await realpath(root); ; folder = dirname(folder)) {
    const { mode } = await stat(folder);
    if ((mode & 0o001) === 0) {
      throw new DinpError(
        "DINP_INVALID",
        `Apps run as users of their own and cannot get to ${root}: ${folder} lets no other user pass.`,
        { hint: `Choose another data folder, or run: chmod o+x ${folder}` },
      );
    }
    if (folder === dirname(folder)) return;
  }
}
