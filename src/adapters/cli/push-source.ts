import { createReadStream } from "node:fs";
import { open, readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import {
  detectFormat,
  fileNameInUrl,
  formatHeadBytes,
  isDinpError,
  limits,
  messageOf,
  parseUploadUrl,
  unknownFormat,
  type JsonValue,
} from "@dinp/core";
import { appNameFromPath, parseAppName } from "./app-name.js";
import type { Context } from "./context.js";
import { CliError, exitCodes, usageError } from "./exit-codes.js";
import { quote } from "./parse.js";

/** What a push is made of: a folder, or a file that is sent as it is (an archive or a program). */
export interface Source {
  readonly kind: "directory" | "file";
  readonly path: string;
  /** As the user wrote it. */
  readonly shownPath: string;
  /** Of the file; 0 for a folder. */
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

/** Half of what the platform takes of an upload: a tar is somewhat more than its files. */
const PLAIN_BYTES_MAX = limits.uploadBytesMax / 2;
const MANIFEST_BYTES_MAX = 1_048_576;

/** Looks at the path; a usage error unless it is a folder or a file that can be built from. */
export async function findSource(path: string, context: Context): Promise<Source> {
  const full = resolve(context.cwd, path);
  let stats;
  try {
    stats = await stat(full);
  } catch (error) {
    if (hasCode(error, "ENOENT")) {
      if (/^https?:\/\//i.test(path))
        throw usageError("A URL is given with --url.", "Write: dinp push --url URL");
      throw usageError(`There is no folder or file ${quote(path)}.`, "Write: dinp push DIR");
    }
    throw new CliError(exitCodes.failed, `Cannot read ${quote(path)} (${messageOf(error)}).`, {
      cause: error,
    });
  }
  if (stats.isDirectory()) return { kind: "directory", path: full, shownPath: path, bytes: 0 };
  if (!stats.isFile()) {
    throw usageError(`${quote(path)} is neither a folder nor a file.`, "Push the folder of the built app.");
  }
  const head = await headOf(full);
  if (detectFormat(head) !== null) return { kind: "file", path: full, shownPath: path, bytes: stats.size };
  const { message, hint = "" } = unknownFormat(head);
  throw usageError(`${quote(path)} cannot be pushed. ${message}`, hint);
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
  const what = source.kind === "directory" ? "the folder's" : "the file's";
  return { app, from: `named after ${what} name; --app gives another` };
}

/** What `--url` names; a usage error for what the platform would refuse anyway, before anything is sent. */
export function parseSourceUrl(text: string): URL {
  try {
    return parseUploadUrl(text);
  } catch (error) {
    if (!isDinpError(error)) throw error;
    throw usageError(`--url: ${error.message}`, error.hint ?? "");
  }
}

/** `--app`, else a DNS label made of the file's name in the URL. */
export function chooseAppNameForUrl(url: URL, flag: string | undefined): ChosenName {
  if (flag !== undefined) return { app: flag, from: "named by --app" };
  const app = appNameFromPath(fileNameInUrl(url) ?? "");
  if (app !== null) return { app, from: "named after the file in the URL; --app gives another" };
  throw usageError("No app name can be made of this URL.", "Give one with --app NAME.");
}

/** Opens the source for one upload. */
export async function openSource(
  source: Source,
  context: Context,
  signal: AbortSignal,
  onProgress: (readBytes: number) => void,
): Promise<OpenedSource> {
  if (source.kind === "directory") {
    return context.options.packDirectory(source.path, {
      onProgress: ({ bytes }) => {
        onProgress(bytes);
      },
      signal,
      plainBytesMax: isSameMachine(context.api?.url) ? PLAIN_BYTES_MAX : undefined,
    });
  }
  const bytes = createReadStream(source.path, { highWaterMark: 256 * 1024, signal });
  return { bytes, files: null, totalBytes: source.bytes };
}

/** The folder's `dinp.yaml` as a JSON value; null when there is none. */
export async function readManifest(directory: string, context: Context): Promise<JsonValue | null> {
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
  try {
    // What YAML may hold besides JSON is refused by the parser.
    return JSON.parse(JSON.stringify((await context.options.parseYaml(text)) ?? null)) as JsonValue;
  } catch (error) {
    throw usageError(`dinp.yaml cannot be used: ${messageOf(error)}`, `Mend ${path}`);
  }
}

/** Between programs of one machine, compressing takes longer than sending. */
function isSameMachine(api: string | undefined): boolean {
  return api !== undefined && /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(new URL(api).hostname);
}

async function manifestApp(directory: string, context: Context): Promise<string | null> {
  const value = await readManifest(directory, context);
  const app = isObject(value) ? value["app"] : undefined;
  if (app === undefined) return null;
  if (typeof app === "string") return app;
  throw usageError(
    `"app" in dinp.yaml must be a text (${quote(JSON.stringify(app))})`,
    `Write it like app: shop`,
  );
}

function isObject(value: JsonValue): value is Readonly<Record<string, JsonValue>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function headOf(path: string): Promise<Uint8Array> {
  const file = await open(path, "r");
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(formatHeadBytes), 0, formatHeadBytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
