import { chmod, open, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { CliError, exitCodes } from "./exit-codes.js";
import { makeFolder } from "./folders.js";
import { parseApiUrl } from "./parse.js";
import type { Environment } from "./terminal.js";

/** The API that is used when nothing names another. */
export const defaultApiUrl = "http://127.0.0.1:7070";

/** What the credentials file holds: a token for each API, by its URL, and the API to use when none is named. */
export interface Credentials {
  readonly current: string | null;
  readonly tokens: Readonly<Record<string, string>>;
}

/** Which API to talk to, with which token (null: none is known), and where each came from. */
export interface ResolvedApi {
  readonly url: string;
  readonly token: string | null;
  readonly tokenFrom: "flag" | "environment" | "file" | null;
}

/** `$XDG_CONFIG_HOME/dinp/credentials.json`, else `~/.config/dinp/credentials.json`. A relative `XDG_CONFIG_HOME` is ignored, as its specification says. */
export function credentialsPath(env: Environment): string {
  const configured = env["XDG_CONFIG_HOME"] ?? "";
  const home = env["HOME"] ?? "";
  const base = isAbsolute(configured) ? configured : join(home === "" ? homedir() : home, ".config");
  return join(base, "dinp", "credentials.json");
}

/** The credentials in the file; empty ones when there is no file. A file that cannot be read or understood is an error. */
export async function loadCredentials(env: Environment): Promise<Credentials> {
  const path = credentialsPath(env);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return { current: null, tokens: {} };
    throw unreadable(path, error);
  }
  try {
    return readCredentials(JSON.parse(text));
  } catch (error) {
    throw unreadable(path, error);
  }
}

/**
 * Stores a token for an API and makes that API the current one; returns the file's path. The file has mode 0600, its
 * folder 0700, and a reader sees the old or the new file whole.
 */
export async function saveCredentials(
  env: Environment,
  login: { readonly apiUrl: string; readonly token: string },
): Promise<string> {
  const path = credentialsPath(env);
  const apiUrl = parseApiUrl(login.apiUrl);
  const before = await loadCredentials(env);
  const after: Credentials = { current: apiUrl, tokens: { ...before.tokens, [apiUrl]: login.token } };
  const { randomBytes } = await import("node:crypto");
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await makeFolder(dirname(path), 0o700);
    await chmod(dirname(path), 0o700);
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(`${JSON.stringify(after, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new CliError(exitCodes.failed, `Cannot write ${path} (${reason(error)})`, {
      hints: ["Make the folder writable, or set XDG_CONFIG_HOME to one that is"],
      cause: error,
    });
  }
  return path;
}

/** Flags, else `DINP_API` and `DINP_TOKEN`, else the credentials file, else {@link defaultApiUrl}; API and token each by itself. */
export async function resolveApi(
  flags: { readonly api?: string | undefined; readonly token?: string | undefined },
  env: Environment,
): Promise<ResolvedApi> {
  const url = await resolveApiUrl(flags.api, env);
  const flagToken = nonEmpty(flags.token);
  const envToken = nonEmpty(env["DINP_TOKEN"]);
  if (flagToken !== null) return { url, token: flagToken, tokenFrom: "flag" };
  if (envToken !== null) return { url, token: envToken, tokenFrom: "environment" };
  const { tokens } = await loadCredentials(env);
  const token = Object.hasOwn(tokens, url) ? (tokens[url] ?? null) : null;
  return { url, token, tokenFrom: token === null ? null : "file" };
}

/** The URL part of {@link resolveApi}. */
export async function resolveApiUrl(flag: string | undefined, env: Environment): Promise<string> {
  const named = nonEmpty(flag) ?? nonEmpty(env["DINP_API"]);
  return parseApiUrl(named ?? (await loadCredentials(env)).current ?? defaultApiUrl);
}

function nonEmpty(text: string | undefined): string | null {
  return text === undefined || text === "" ? null : text;
}

function readCredentials(value: unknown): Credentials {
  if (!isObject(value)) throw new Error("not a JSON object");
  const { current, tokens } = value;
  if (current !== null && typeof current !== "string") throw new Error(`"current" is not a URL`);
  if (!isObject(tokens)) throw new Error(`"tokens" is not an object`);
  const read = new Map<string, string>();
  for (const [url, token] of Object.entries(tokens)) {
    if (typeof token !== "string") throw new Error(`the token of ${url} is not a text`);
    read.set(url, token);
  }
  return { current, tokens: Object.fromEntries(read) };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function unreadable(path: string, error: unknown): CliError {
  return new CliError(exitCodes.failed, `Cannot read the credentials in ${path} (${reason(error)})`, {
    hints: [`Mend or delete the file, then run "dinp login"`],
    cause: error,
  });
}
