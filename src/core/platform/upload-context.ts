import type { ContextEntry } from "../build/dockerfile/index.js";
import { ignoreRules, plainPath } from "../build/dockerfile/index.js";
import { appFolder } from "../build/rewrite-entry.js";
import { DinpError } from "../model/errors.js";
import type { Archive, ArchiveEntry } from "../ports/archive.js";
import type { Descriptor, Registry } from "../ports/registry.js";
import { layerFormat } from "./image-reader.js";

const DOCKERFILE = "Dockerfile";
const IGNORE = ".dockerignore";
const TEXT_BYTES_MAX = 64 * 1024;

/** The files of an upload, as they were checked and stored, for the instructions of its Dockerfile. */
export class UploadContext {
  readonly #open: (signal: AbortSignal) => AsyncIterable<ArchiveEntry>;
  readonly index: ReadonlyMap<string, ContextEntry>;
  readonly dockerfile: string;

  private constructor(
    open: (signal: AbortSignal) => AsyncIterable<ArchiveEntry>,
    index: ReadonlyMap<string, ContextEntry>,
    dockerfile: string,
  ) {
    this.#open = open;
    this.index = index;
    this.dockerfile = dockerfile;
  }

  /** Reads what there is. `DINP_INVALID` without a Dockerfile, or for one that cannot be read. */
  static async of(
    place: {
      readonly registry: Registry;
      readonly archive: Archive;
      readonly repository: string;
      readonly layer: Descriptor;
      readonly maxBytes: number;
      readonly maxEntries: number;
    },
    signal: AbortSignal,
  ): Promise<UploadContext> {
    const { registry, archive, repository, layer, maxBytes, maxEntries } = place;
    const format = layerFormat(layer.mediaType) ?? "tar";
    const open = (ends: AbortSignal): AsyncIterable<ArchiveEntry> =>
      belowApp(
        archive.read(registry.readBlob(repository, layer.digest, { signal: ends }), {
          ...{ format, maxBytes, maxEntries: maxEntries + 1, signal: ends },
        }),
      );
    const all = new Map<string, ContextEntry>();
    const texts = new Map<string, string>();
    for await (const entry of open(signal)) {
      const { path, type, linkTarget } = entry;
      if (type === "other") continue;
      all.set(path, { path, type, linkTarget });
      if (path === DOCKERFILE || path === IGNORE) texts.set(path, await textOf(entry));
    }
    const dockerfile = texts.get(DOCKERFILE);
    if (dockerfile === undefined) {
      throw new DinpError("DINP_INVALID", "The upload has no Dockerfile at its root.", {
        hint: "Put it there, under this name, or choose another template.",
        details: { field: "template" },
      });
    }
    const isIgnored = ignoreRules(texts.get(IGNORE) ?? "");
    const index = new Map([...all].filter(([path]) => !isIgnored(path)));
    return new UploadContext(open, index, dockerfile);
  }

  /** All entries in their order; paths are relative to the upload's root. */
  entries(signal: AbortSignal): AsyncIterable<ArchiveEntry> {
    return this.#open(signal);
  }
}

async function* belowApp(
  entries: AsyncIterable<ArchiveEntry>,
): AsyncGenerator<ArchiveEntry, void, undefined> {
  for await (const entry of entries) {
    const path = below(entry.path);
    if (path === "") continue;
    const linkTarget = entry.type === "hardlink" ? below(entry.linkTarget ?? "") : entry.linkTarget;
    yield { ...entry, path, linkTarget };
  }
}

function below(path: string): string {
  return plainPath(path).slice(appFolder.length + 1);
}

async function textOf({ path, type, size, content }: ArchiveEntry): Promise<string> {
  const invalid = (why: string, hint: string, cause?: unknown): DinpError =>
    new DinpError("DINP_INVALID", `${path} cannot be read: ${why}.`, {
      hint,
      cause,
      details: { entry: path },
    });
  if (type !== "file") throw invalid("it is no file", "Put the file itself at the upload's root.");
  if (size > TEXT_BYTES_MAX)
    throw invalid(`it has ${String(size)} bytes; ${String(TEXT_BYTES_MAX)} are allowed`, "Make it smaller.");
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  try {
    for await (const piece of content) text += decoder.decode(piece, { stream: true });
    return text + decoder.decode();
  } catch (cause) {
    if (cause instanceof TypeError) throw invalid("it is not UTF-8 text", "Save it as UTF-8.", cause);
    throw cause;
  }
}
