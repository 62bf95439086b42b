import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { isDinpError, shownUrl } from "@dinp/core";
import type { BuildView, Client } from "@dinp/core/client";
import type { Context } from "./context.js";
import { CliError, exitCodeOf, exitCodes, usageError } from "./exit-codes.js";
import {
  chooseAppName,
  chooseAppNameForUrl,
  findSource,
  openSource,
  type ChosenName,
  type OpenedSource,
  type Source,
} from "./push-source.js";
import { count, formatBytes, formatCommand, printable, shortDigest } from "./text.js";
import { sendWithProgress } from "./upload-progress.js";

const DOCKERFILE_TEMPLATE = "dockerfile";

/** What a user may say of a build. */
export interface BuildFlags {
  readonly template?: string;
  readonly command?: string;
  readonly base?: string;
  readonly tag?: string;
}

/** What a push or build is made of. */
export interface Code {
  /** As the user wrote it, without what may be secret. */
  readonly shown: string;
  readonly name: ChosenName;
  /**
   * Has it built. `onAccepted` is called when the API has taken the token: that it does not, or is not there, is said before
   * anything is sent, and before what is wrong with the code.
   */
  readonly build: (client: Client, onAccepted: () => void) => Promise<BuildView>;
}

/** Looks at what the user named: a folder or file (default: this folder), or a URL. */
export async function findCode(
  context: Context,
  path: string | undefined,
  flags: BuildFlags & { readonly app?: string; readonly url?: URL },
): Promise<Code> {
  const { url } = flags;
  if (url !== undefined) {
    if (path !== undefined) throw usageError("--url goes without a folder or archive.");
    const name = chooseAppNameForUrl(url, flags.app);
    return {
      shown: shownUrl(url),
      name,
      build: async (client, onAccepted) => {
        await client.session({ signal: context.signal });
        onAccepted();
        return await fetchBuild(context, client, url, name.app, flags);
      },
    };
  }
  const source = await findSource(path ?? ".", context);
  const name = await chooseAppName(source, flags.app, context);
  return {
    shown: source.shownPath,
    name,
    build: async (client, onAccepted) => {
      const ahead = await openWhile(client.session({ signal: context.signal }), source, context);
      onAccepted();
      const built = await uploadBuild(context, client, { source, ahead }, name.app, flags);
      if (await leavesDockerfileOut(source, flags, built))
        context.err.line("Its Dockerfile is not used: --template dockerfile builds by it");
      return built;
    },
  };
}

/** Whether the folder has a Dockerfile that nobody asked for, or decided against. */
async function leavesDockerfileOut(source: Source, flags: BuildFlags, built: BuildView): Promise<boolean> {
  if (source.kind !== "directory" || flags.template !== undefined) return false;
  if (built.template === DOCKERFILE_TEMPLATE || built.manifest?.template !== undefined) return false;
  return await stat(join(source.path, "Dockerfile")).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** Has the platform fetch the code from a URL, and gives the build that came of it; one that failed names its log. */
async function fetchBuild(
  context: Context,
  client: Client,
  url: URL,
  app: string,
  { template, command, base, tag }: BuildFlags,
): Promise<BuildView> {
  const { err, signal } = context;
  err.live([{ text: `The platform fetches ${printable(shownUrl(url))} and makes the image` }]);
  const built = client.createBuildFromUrl(app, url.href, { template, command, base, tag, signal });
  try {
    return await naming(context, app, built);
  } finally {
    err.clearLive();
  }
}

/** A source that is being opened. */
interface Ahead {
  readonly opened: Promise<OpenedSource>;
  /** Gets the bytes that were read so far. */
  onRead: (readBytes: number) => void;
}

/** Opens a folder while the API is asked; null for a file, which takes no time. What opening fails with is told by its promise. */
async function openWhile(asked: Promise<unknown>, source: Source, context: Context): Promise<Ahead | null> {
  if (source.kind === "file") {
    await asked;
    return null;
  }
  const refused = new AbortController();
  const signal = AbortSignal.any([context.signal, refused.signal]);
  const opened = openSource(source, context, signal, (readBytes) => {
    ahead.onRead(readBytes);
  });
  const ahead: Ahead = { opened, onRead: () => undefined };
  opened.catch(() => undefined);
  try {
    await asked;
    return ahead;
  } catch (error) {
    refused.abort();
    throw error;
  }
}

/** Sends the source and gives the build that came of it; one that failed names its log. */
async function uploadBuild(
  context: Context,
  client: Client,
  { source, ahead }: { readonly source: Source; readonly ahead: Ahead | null },
  app: string,
  { template, command, base, tag }: BuildFlags,
): Promise<BuildView> {
  const { signal } = context;
  const fileName = source.kind === "file" ? basename(source.path) : undefined;
  const built = sendWithProgress(
    context,
    (onRead) => {
      if (ahead === null) return openSource(source, context, signal, onRead);
      ahead.onRead = onRead;
      return ahead.opened;
    },
    (bytes) => client.createBuild(app, bytes, { template, command, base, tag, fileName, signal }),
  );
  return await naming(context, app, built);
}

/** What a build failed with names its log. */
async function naming({ signal }: Context, app: string, build: Promise<BuildView>): Promise<BuildView> {
  try {
    return await build;
  } catch (error) {
    const id = isDinpError(error) ? error.details["buildId"] : undefined;
    if (!isDinpError(error) || typeof id !== "string" || signal.aborted) throw error;
    const log = `"dinp builds ${app} ${printable(id)} --log" shows what the build did.`;
    const hints = error.hint === undefined ? [log] : [error.hint, log];
    // The API did answer: what could not be reached is the build's affair.
    const exitCode = exitCodeOf(error) === exitCodes.unreachable ? exitCodes.failed : exitCodeOf(error);
    throw new CliError(exitCode, error.message, { hints, cause: error });
  }
}

/** Says what was built. */
export function sayBuilt({ err }: Context, build: BuildView): void {
  const size = `${count(build.files, "file")}, ${formatBytes(build.bytes)}`;
  const digest = shortDigest(build.digest ?? "");
  err.line(`Image ${digest}: template ${printable(build.template)}, ${size}`);
  if (build.base !== null)
    err.line(
      `Base: ${printable(shortBase(build.base))}; nodes that run plain processes use their own programs instead`,
    );
  err.line(`Command: ${printable(formatCommand(build.command))}`);
}

function shortBase(base: string): string {
  return base.replace(/@.*$/, (digest) => `@${shortDigest(digest.slice(1))}`);
}
