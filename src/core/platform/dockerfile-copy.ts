import {
  ownerOf,
  planCopy,
  plainPath,
  refusedAt,
  shown,
  type Owner,
  type RawInstruction,
  type StageAction,
} from "../build/dockerfile/index.js";
import type { ArchiveEntry } from "../ports/archive.js";
import type { ImageTree } from "../ports/image-workshop.js";
import { once } from "./app-layer.js";
import { collectText } from "./image-json.js";
import type { UploadContext } from "./upload-context.js";

type Copy = Extract<StageAction, { readonly do: "copy" }>;

const ACCOUNTS_BYTES_MAX = 1024 * 1024;

/** Where a `COPY` writes, and as what. */
interface Target {
  /** Absolute; links in it are followed. */
  readonly path: string;
  readonly isThere: boolean;
  readonly isFolder: boolean;
  readonly owner: Owner;
  readonly mode: number | null;
}

/** `COPY` from the upload. */
export async function copyFromUpload(
  tree: ImageTree,
  context: UploadContext,
  copy: Copy,
  instruction: RawInstruction,
  signal: AbortSignal,
): Promise<void> {
  const target = await targetOf(tree, copy, instruction);
  const plan = planCopy(context.index, {
    ...{ instruction, sources: copy.sources, destination: target.path, isFolder: target.isFolder },
  });
  const goesBelow = [...plan.values()].some((paths) => paths.some((path) => path !== target.path));
  const entries = async function* (): AsyncGenerator<ArchiveEntry, void, undefined> {
    if (!target.isThere && (goesBelow || target.isFolder || plan.size === 0)) yield folder(target);
    for await (const entry of context.entries(signal)) {
      const [first, ...others] = plan.get(entry.path) ?? [];
      if (first === undefined) continue;
      yield written(entry, first, target);
      const isFile = entry.type === "file";
      const again = isFile ? ({ type: "hardlink", linkTarget: first.slice(1) } as const) : {};
      for (const path of others) yield written({ ...entry, ...again, size: 0 }, path, target);
    }
  };
  await tree.write(entries());
}

/** `COPY --from`: out of another stage or image. */
export async function copyFromTree(
  tree: ImageTree,
  source: ImageTree,
  copy: Copy,
  instruction: RawInstruction,
): Promise<void> {
  const target = await targetOf(tree, copy, instruction);
  const found: { readonly path: string; readonly type: "file" | "directory" }[] = [];
  for (const name of copy.sources) {
    if (/[*?[\\]/.test(name))
      throw refusedAt(instruction, "--from takes no patterns", "Name the folder, or each file.");
    const place = await source.stat(`/${plainPath(name)}`);
    if (place === null)
      throw refusedAt(
        instruction,
        `there is no ${JSON.stringify(shown(name, 200))}`,
        "See what the stage makes.",
      );
    found.push(place);
  }
  const entries = async function* (): AsyncGenerator<ArchiveEntry, void, undefined> {
    const makesFolder = target.isFolder || found.some(({ type }) => type === "directory");
    if (!target.isThere && makesFolder) yield folder(target);
    for (const { path, type } of found) {
      const name = path.slice(path.lastIndexOf("/") + 1);
      const move = (own: string): string => {
        const rest = plainPath(own).slice(name.length);
        if (type === "directory") return plainPath(`${target.path}/${rest}`);
        return plainPath(target.isFolder ? `${target.path}/${name}` : target.path);
      };
      for await (const entry of source.read(path)) {
        if (plainPath(entry.path) === name && type === "directory") continue;
        if (entry.type === "other")
          throw refusedAt(
            instruction,
            `${JSON.stringify(shown(entry.path, 200))} is a device, pipe or socket`,
            "Remove it in the stage.",
          );
        const linkTarget = entry.type === "hardlink" ? move(entry.linkTarget ?? "") : entry.linkTarget;
        yield written({ ...entry, linkTarget }, `/${move(entry.path)}`, target);
      }
    }
  };
  await tree.write(entries());
}

/** `WORKDIR`: the folder is made when it is not there. */
export async function makeFolder(tree: ImageTree, path: string, instruction: RawInstruction): Promise<void> {
  const place = await tree.stat(path);
  if (place?.type === "file")
    throw refusedAt(instruction, `${JSON.stringify(shown(path, 200))} is a file`, "Name a folder.");
  if (place !== null) return;
  const entries = async function* (): AsyncGenerator<ArchiveEntry, void, undefined> {
    yield await Promise.resolve(folder({ path, owner: { uid: 0, gid: 0 }, mode: null }));
  };
  await tree.write(entries());
}

async function targetOf(tree: ImageTree, copy: Copy, instruction: RawInstruction): Promise<Target> {
  const asked = `/${plainPath(copy.destination)}`;
  const place = await tree.stat(asked);
  if (place?.type === "file" && copy.destination.endsWith("/"))
    throw refusedAt(instruction, `${JSON.stringify(shown(asked, 200))} is a file`, "Name a folder.");
  return {
    path: place?.path ?? asked,
    isThere: place !== null,
    isFolder: place?.type === "directory" || copy.destination.endsWith("/"),
    owner: await findOwner(tree, copy.owner, instruction),
    mode: copy.mode,
  };
}

async function findOwner(tree: ImageTree, owner: string | null, instruction: RawInstruction): Promise<Owner> {
  if (owner === null) return { uid: 0, gid: 0 };
  const isNumeric = /^\d+(?::\d+)?$/.test(owner);
  const passwd = isNumeric ? "" : await fileOf(tree, "/etc/passwd");
  const group = isNumeric ? "" : await fileOf(tree, "/etc/group");
  const found = ownerOf(owner, passwd, group);
  if (found !== null) return found;
  const what = `the image's /etc/passwd and /etc/group do not have ${JSON.stringify(shown(owner, 80))}`;
  throw refusedAt(instruction, what, "Use numbers, or make the user in a RUN before.");
}

async function fileOf(tree: ImageTree, path: string): Promise<string> {
  const place = await tree.stat(path);
  if (place?.type !== "file") return "";
  for await (const { type, content } of tree.read(place.path))
    if (type === "file") return await collectText(content, ACCOUNTS_BYTES_MAX, path);
  return "";
}

function folder({ path, owner, mode }: Pick<Target, "path" | "owner" | "mode">): ArchiveEntry {
  const content = once(new Uint8Array());
  return {
    path: path.slice(1),
    type: "directory",
    mode: mode ?? 0o755,
    size: 0,
    linkTarget: null,
    owner,
    content,
  };
}

function written(entry: ArchiveEntry, path: string, { owner, mode }: Target): ArchiveEntry {
  const isLink = entry.type === "symlink";
  return { ...entry, path: path.slice(1), owner, mode: isLink ? entry.mode : (mode ?? entry.mode) };
}
