import { constants, createReadStream, type Stats } from "node:fs";
import { lstat, open, readdir, readlink } from "node:fs/promises";
import { join, posix } from "node:path";
import { DinpError, type ArchiveEntry, type ByteStream } from "@dinp/core";

const ENTRIES_MAX = 200_000;
const LINKS_MAX = 40;
const READ_BYTES = 256 * 1024;
/** What every user may do with a file or folder that is taken along. */
const READABLE_BY_ALL = 0o004;
const USABLE_BY_ALL = 0o005;
const EXECUTABLE = 0o111;
const LIBRARY = /\.so(?:\.[^/]*)?$/;

type Node =
  | { readonly type: "directory"; readonly mode: number }
  | { readonly type: "symlink"; readonly target: string }
  | { readonly type: "text"; readonly mode: number; readonly bytes: Uint8Array }
  | { readonly type: "file"; readonly mode: number; readonly size: number; readonly from: string };

const nothing: ByteStream = { async *[Symbol.asyncIterator]() {} };

/**
 * A root file system that is put together from files of this machine, at the paths that they have here. What a path leads
 * through comes along: folders, symbolic links and what these lead to. Left out: what not every user may read (keys and
 * passwords among it), devices, sockets, pipes, and links that lead nowhere.
 */
export class RootTree {
  readonly #nodes = new Map<string, Node>();
  readonly #walked = new Set<string>();

  /** Adds a file, or a folder with all that is in it; returns false when nothing readable is there. Idempotent. */
  async add(path: string): Promise<boolean> {
    const real = await this.#addPath(path);
    if (real === null) return false;
    if (this.#nodes.get(real)?.type === "directory") await this.#addChildren(real);
    return true;
  }

  /** Adds a file of this machine at another path. */
  async addAs(at: string, from: string): Promise<void> {
    this.#addFolders(posix.dirname(at));
    const { mode, size } = await statFile(from);
    this.#put(at, { type: "file", mode: (mode & 0o777) | 0o444, size, from });
  }

  addText(at: string, text: string, mode = 0o644): void {
    this.#addFolders(posix.dirname(at));
    this.#put(at, { type: "text", mode, bytes: new TextEncoder().encode(text) });
  }

  addFolder(at: string, mode: number): void {
    this.#addFolders(posix.dirname(at));
    this.#put(at, { type: "directory", mode });
  }

  /** Programs and libraries of this machine that are in the tree and were not given out by an earlier call. */
  *newBinaries(): Generator<string, void, undefined> {
    for (const [path, node] of [...this.#nodes]) {
      if (node.type !== "file" || this.#walked.has(node.from)) continue;
      if ((node.mode & EXECUTABLE) === 0 && !LIBRARY.test(path)) continue;
      this.#walked.add(node.from);
      yield node.from;
    }
  }

  /** Bytes of all files. */
  get bytes(): number {
    let bytes = 0;
    for (const node of this.#nodes.values()) {
      if (node.type === "file") bytes += node.size;
      else if (node.type === "text") bytes += node.bytes.length;
    }
    return bytes;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** By path, each folder before what is in it. A file that has changed since makes the stream fail. */
  async *entries(signal: AbortSignal | undefined): AsyncGenerator<ArchiveEntry, void, undefined> {
    for (const [path, node] of [...this.#nodes].sort(([a], [b]) => (a < b ? -1 : 1))) {
      yield entryOf(path.slice(1), node, signal);
      await Promise.resolve();
    }
  }

  /** Adds what lies on the way to a path and at its end; returns the end without links, null when there is none. */
  async #addPath(path: string): Promise<string | null> {
    // Folders in the tree have no links in their paths.
    const parent = posix.dirname(path);
    let at = this.#nodes.get(parent)?.type === "directory" ? parent : "/";
    let rest = path
      .slice(at.length)
      .split("/")
      .filter((name) => name !== "");
    for (let links = 0; rest.length > 0;) {
      const [name = "", ...others] = rest;
      const next = posix.join(at, name);
      const stats = await statOrNull(next);
      if (stats === null) return null;
      if (stats.isSymbolicLink()) {
        links += 1;
        const target = links > LINKS_MAX ? null : await readlink(next);
        if (target === null || !(await leadsSomewhere(next))) return null;
        this.#put(next, { type: "symlink", target });
        rest = [...posix.resolve(at, target).split("/").filter(Boolean), ...others];
        at = "/";
        continue;
      }
      if (stats.isDirectory()) {
        if ((stats.mode & USABLE_BY_ALL) !== USABLE_BY_ALL) return null;
        if (!this.#nodes.has(next)) this.#put(next, { type: "directory", mode: stats.mode & 0o7777 });
      } else if (!stats.isFile() || others.length > 0 || (stats.mode & READABLE_BY_ALL) === 0) return null;
      else {
        this.#put(next, { type: "file", mode: stats.mode & 0o755, size: stats.size, from: next });
      }
      at = next;
      rest = others;
    }
    return at;
  }

  async #addChildren(folder: string): Promise<void> {
    if (this.#walked.has(folder)) return;
    this.#walked.add(folder);
    for (const { name } of await readdir(folder, { withFileTypes: true })) await this.add(join(folder, name));
  }

  #addFolders(folder: string): void {
    if (folder === "/" || this.#nodes.has(folder)) return;
    this.#addFolders(posix.dirname(folder));
    this.#put(folder, { type: "directory", mode: 0o755 });
  }

  #put(path: string, node: Node): void {
    this.#nodes.set(path, node);
    if (this.#nodes.size <= ENTRIES_MAX) return;
    throw new DinpError("DINP_TOO_LARGE", `The base would have more than ${String(ENTRIES_MAX)} files.`, {
      hint: "Name fewer programs or folders.",
    });
  }
}

function entryOf(path: string, node: Node, signal: AbortSignal | undefined): ArchiveEntry {
  switch (node.type) {
    case "directory":
      return { path, type: "directory", mode: node.mode, size: 0, linkTarget: null, content: nothing };
    case "symlink":
      return { path, type: "symlink", mode: 0o777, size: 0, linkTarget: node.target, content: nothing };
    case "text": {
      const { bytes, mode } = node;
      const content: ByteStream = {
        async *[Symbol.asyncIterator]() {
          yield await Promise.resolve(bytes);
        },
      };
      return { path, type: "file", mode, size: bytes.length, linkTarget: null, content };
    }
    case "file": {
      const { from, mode, size } = node;
      return { path, type: "file", mode, size, linkTarget: null, content: contentOf(from, signal) };
    }
  }
}

/** Opened when it is read: thousands of files are in one tree. */
function contentOf(path: string, signal: AbortSignal | undefined): ByteStream {
  return {
    async *[Symbol.asyncIterator]() {
      const options = { highWaterMark: READ_BYTES, ...(signal === undefined ? {} : { signal }) };
      for await (const piece of createReadStream(path, options)) if (piece instanceof Uint8Array) yield piece;
    },
  };
}

async function leadsSomewhere(link: string): Promise<boolean> {
  const file = await open(link, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => null);
  await file?.close();
  return file !== null;
}

async function statOrNull(path: string): Promise<Stats | null> {
  return await lstat(path).catch(() => null);
}

async function statFile(path: string): Promise<Stats> {
  const file = await open(path, "r");
  try {
    return await file.stat();
  } finally {
    await file.close();
  }
}
