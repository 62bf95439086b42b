import { createReadStream } from "node:fs";
import { open, readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { messageOf } from "@dinp/core";
import { appNameFromPath, parseAppName } from "./app-name.js";
import type { Context } from "./context.js";
import { CliError, exitCodes, usageError } from "./exit-codes.js";
import { quote } from "./parse.js";

/** What a push is made of: a folder, or a `.tar.gz` of one. */
export interface Source {
  readonly kind: "directory" | "archive";
  readonly path: string;
  /** As the user wrote it. */
  readonly shownPath: string;
  /** Of the archive; 0 for a folder. */
  readonly bytes: number;
}

/** The name of the app to push to, and for people where it came from. */
export interface ChosenName {
  readonly app: string;
  readonly from: string;
}

export interface OpenedSource {
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Null when it is not known: an archive is sent as it is. */
  readonly files: number | null;
  readonly totalBytes: number;
}

const MANIFEST_BYTES_MAX = 1_048_576;

/** Looks at the path; a usage error unless it is a folder or a gzip file. */
export async function findSource(path: string, context: Context): Promise<Source> {
  const full = resolve(context.cwd, path);
  let stats;
  try {
    stats = await stat(full);
  } catch (error) {
    if (hasCode(error, "ENOENT")) {
      throw usageError(`There is no folder or archive ${quote(path)}.`, "Write: dinp push DIR");
    }
    throw new CliError(exitCodes.failed, `Cannot read ${quote(path)} (${messageOf(error)}).`, {
      cause: error,
    });
  }
  if (stats.isDirectory()) return { kind: "directory", path: full, shownPath: path, bytes: 0 };
  if (stats.isFile() && (await isGzip(full))) {
    return { kind: "archive", path: full, shownPath: path, bytes: stats.size };
  }
  throw usageError(
    `${quote(path)} is neither a folder nor a .tar.gz archive.`,
    "Push the folder of the built app; other archives must be unpacked first.",
  );
}

/** `--app`, else the manifest's `app`, else a DNS label made of the folder's (or archive's) name. */
export async function chooseAppName(
  source: Source,
  flag: string | undefined,
  context: Context,
): Promise<ChosenName> {
  if (flag !== undefined) return { app: flag, from: "named by --app" };
  const named = source.kind === "directory" ? await manifestApp(source.path, context) : null;
  if (named !== null) return { app: parseAppName(named), from: "named in dinp.yaml" };
  const app = appNameFromPath(source.path);
  if (app === null) {
    throw usageError(
      `No app name can be made of ${quote(basename(source.path))}.`,
      "Give one with --app NAME.",
    );
  }
  const what = source.kind === "directory" ? "the folder's" : "the archive's";
  return { app, from: `named after ${what} name; --app gives another` };
}

/** Opens the source for one upload. */
export async function openSource(
  source: Source,
  context: Context,
  onProgress: (readBytes: number) => void,
): Promise<OpenedSource> {
  if (source.kind === "directory") {
    return context.options.packDirectory(source.path, {
      onProgress: ({ bytes }) => {
        onProgress(bytes);
      },
      signal: context.signal,
    });
  }
  const bytes = createReadStream(source.path, { highWaterMark: 256 * 1024, signal: context.signal });
  return { bytes, files: null, totalBytes: source.bytes };
}

async function manifestApp(directory: string, context: Context): Promise<string | null> {
  const path = join(directory, "dinp.yaml");
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > MANIFEST_BYTES_MAX) throw usageError("dinp.yaml is larger than 1 MiB.");
    text = await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return null;
    if (error instanceof CliError) throw error;
    throw new CliError(exitCodes.failed, `Cannot read ${path} (${messageOf(error)}).`, { cause: error });
  }
  let value: unknown;
  try {
    value = context.options.parseYaml(text);
  } catch (error) {
    throw usageError(`dinp.yaml cannot be used: ${messageOf(error)}`, `Mend ${path}`);
  }
  if (typeof value !== "object" || value === null || !("app" in value)) return null;
  if (typeof value.app === "string") return value.app;
  throw usageError(
    `"app" in dinp.yaml must be a text (${quote(String(value.app))})`,
    `Write it like app: shop`,
  );
}

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
