import { pipFolder } from "../build/pip-step.js";
import { AppTree, appFolder, rewriteEntry } from "../build/rewrite-entry.js";
import { DinpError } from "../model/errors.js";
import type { ArchiveEntry } from "../ports/archive.js";
import { once } from "./app-layer.js";

const FOLDER = `${appFolder}/${pipFolder}`;

/**
 * The layer of what pip installed: the entries below the app's folder for it, checked and rewritten like those of an upload,
 * since the packages' own programs may have written them. `DINP_ARCHIVE_REFUSED`.
 */
export async function* pipLayerEntries(
  installed: AsyncIterable<ArchiveEntry>,
  entriesMax: number,
): AsyncGenerator<ArchiveEntry, void, undefined> {
  const tree = new AppTree();
  let entries = 0;
  yield folder(appFolder);
  yield folder(FOLDER);
  for await (const entry of installed) {
    const { path, type, mode, size, linkTarget } = rewriteEntry(entry);
    const parents = tree.add({ path, type, mode, size, linkTarget });
    if (parents === null) continue;
    entries += 1 + parents.length;
    if (entries > entriesMax) {
      const message = `What pip installed has more than ${String(entriesMax)} files and folders.`;
      throw new DinpError("DINP_ARCHIVE_REFUSED", message, { hint: "Require less." });
    }
    for (const parent of parents) yield folder(`${FOLDER}/${parent}`);
    const target = type === "hardlink" ? `${FOLDER}/${linkTarget ?? ""}` : linkTarget;
    yield { path: `${FOLDER}/${path}`, type, mode, size, linkTarget: target, content: entry.content };
  }
}

function folder(path: string): ArchiveEntry {
  return { path, type: "directory", mode: 0o755, size: 0, linkTarget: null, content: once(new Uint8Array()) };
}
