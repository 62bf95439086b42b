import { AppTree, appFolder, rewriteEntry, type RewrittenEntry } from "../build/rewrite-entry.js";
import { decodeRootFile, isReadAtRoot } from "../build/root-files.js";
import { templateNamed, type Template } from "../build/templates.js";
import type { AppFiles } from "../build/choose-command.js";
import { DinpError, type JsonValue } from "../model/errors.js";
import { parseManifest } from "../model/manifest.js";
import { readLaterIn } from "../model/manifest-values.js";
import type { AppManifest } from "../model/records.js";
import type { ArchiveEntry } from "../ports/archive.js";
import type { ByteStream } from "../ports/registry.js";

/** One app's entries on their way from its archive to its layer, and what is learned of them as they pass. */
export class AppLayer {
  readonly #parseYaml: (text: string) => JsonValue | Promise<JsonValue>;
  readonly #templates: readonly Template[];
  readonly #entriesMax: number;
  readonly #onComplete: () => void;
  readonly #tree = new AppTree();
  readonly #rootNames = new Set<string>();
  readonly #texts = new Map<string, string>();
  #manifest: AppManifest | null = null;
  #entries = 0;
  #files = 0;
  #bytes = 0;

  constructor(options: {
    readonly parseYaml: (text: string) => JsonValue | Promise<JsonValue>;
    readonly templates: readonly Template[];
    readonly entriesMax: number;
    /** Called when the last entry has passed. */
    readonly onComplete?: () => void;
  }) {
    this.#parseYaml = options.parseYaml;
    this.#templates = options.templates;
    this.#entriesMax = options.entriesMax;
    this.#onComplete = options.onComplete ?? (() => undefined);
  }

  /** Files of the app, and their bytes, so far. */
  get size(): { readonly files: number; readonly bytes: number } {
    return { files: this.#files, bytes: this.#bytes };
  }

  /** The app's `dinp.yaml`, null while none has passed. */
  get manifest(): AppManifest | null {
    return this.#manifest;
  }

  get appFiles(): AppFiles {
    return {
      rootNames: this.#rootNames,
      procfile: this.#texts.get("Procfile") ?? null,
      packageJson: this.#texts.get("package.json") ?? null,
      controlIsExecutable: this.#tree.isExecutable("control"),
      hasFile: (path) => this.#tree.isFile(path),
    };
  }

  /**
   * The layer's entries: the app's folder, then the archive's entries below it in their order, each after its folders.
   * Errors: those of `rewriteEntry`, of `AppTree.add` and of the files that are read at the root.
   */
  async *entries(source: AsyncIterable<ArchiveEntry>): AsyncGenerator<ArchiveEntry, void, undefined> {
    yield this.#emit(folder(""), none);
    for await (const entry of source) {
      const rewritten = rewriteEntry(entry);
      const parents = this.#tree.add(rewritten);
      if (parents === null) continue;
      for (const parent of parents) yield this.#emit(folder(parent), none);
      this.#rootNames.add(rewritten.path.split("/", 1)[0] ?? "");
      if (rewritten.type !== "directory") this.#files += 1;
      this.#bytes += rewritten.size;
      const content = isReadAtRoot(rewritten)
        ? await this.#readAtRoot(rewritten, entry.content)
        : entry.content;
      yield this.#emit(this.#withMode(rewritten), content);
    }
    if (this.#files === 0) {
      throw new DinpError("DINP_ARCHIVE_REFUSED", "The archive has no files.", {
        hint: "Push the folder that holds the built app.",
      });
    }
    this.#onComplete();
  }

  /** A hard link has its file's mode: who unpacks it may set that anew. */
  #withMode(entry: RewrittenEntry): RewrittenEntry {
    return entry.type === "hardlink" && this.#tree.isExecutable(entry.path)
      ? { ...entry, mode: 0o755 }
      : entry;
  }

  #emit(entry: RewrittenEntry, content: ByteStream): ArchiveEntry {
    this.#entries += 1;
    if (this.#entries > this.#entriesMax) {
      throw new DinpError(
        "DINP_ARCHIVE_REFUSED",
        `The archive has more than ${String(this.#entriesMax)} files and folders.`,
        { hint: "Leave out what the app does not need to run.", details: { entry: entry.path } },
      );
    }
    const { type, mode, size, linkTarget } = entry;
    const target = type === "hardlink" ? inImage(linkTarget ?? "") : linkTarget;
    return { path: inImage(entry.path), type, mode, size, linkTarget: target, content };
  }

  async #readAtRoot(entry: RewrittenEntry, content: ByteStream): Promise<ByteStream> {
    const bytes = await collect(content, entry.size);
    const text = decodeRootFile(entry.path, bytes);
    if (entry.path === "dinp.yaml") this.#manifest = await this.#readManifest(text);
    this.#texts.set(entry.path, text);
    return once(bytes);
  }

  async #readManifest(text: string): Promise<AppManifest> {
    const value = await readLaterIn("dinp.yaml", () => this.#parseYaml(text));
    const manifest = parseManifest(value);
    if (manifest.template !== undefined) templateNamed(this.#templates, manifest.template);
    return manifest;
  }
}

const none: ByteStream = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }),
};

/** A stream of these bytes; it can be read any number of times. */
export function once(bytes: Uint8Array): ByteStream {
  return {
    [Symbol.asyncIterator]() {
      let rest: Uint8Array | null = bytes;
      return {
        next: () => {
          const value = rest;
          rest = null;
          return Promise.resolve(
            value === null ? { done: true as const, value: undefined } : { done: false as const, value },
          );
        },
      };
    },
  };
}

/** All bytes of a stream of known size; `DINP_ARCHIVE_REFUSED` when there are more. */
async function collect(content: ByteStream, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let offset = 0;
  for await (const chunk of content) {
    if (offset + chunk.length > size) {
      throw new DinpError("DINP_ARCHIVE_REFUSED", "An entry is larger than the archive says.");
    }
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes.subarray(0, offset);
}

function folder(path: string): RewrittenEntry {
  return { path, type: "directory", mode: 0o755, size: 0, linkTarget: null };
}

function inImage(path: string): string {
  return path === "" ? appFolder : `${appFolder}/${path}`;
}
