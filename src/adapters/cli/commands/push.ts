import { limits } from "@dinp/core";
import type { Client, ReleaseRequest } from "@dinp/core/client";
import type { Command } from "commander";
import { parseAppName } from "../app-name.js";
import type { Context } from "../context.js";
import { CliError, exitCodes, usageError } from "../exit-codes.js";
import { parseCpuMillis, parseInteger, parseMemoryMb, parseVariables } from "../parse.js";
import { parseSourceUrl } from "../push-source.js";
import { printable } from "../text.js";
import { findCode, sayBuilt } from "../upload-build.js";
import { finishRelease } from "./finish-release.js";
import { flagsOf, withWait, type Registration, type WaitFlags } from "./shared-options.js";

interface PushFlags extends WaitFlags {
  readonly app?: string;
  readonly url?: URL;
  readonly instances?: number;
  readonly memory?: number;
  readonly cpu?: number;
  readonly env?: readonly string[];
  readonly template?: string;
  readonly base?: string;
  readonly command?: string;
  readonly note?: string;
  readonly build?: string;
  readonly image?: string;
}

const examples = `
Examples:
  dinp push                                  the folder that you are in
  dinp push ./site --app shop --instances 2
  dinp push build.tar.gz --app api --env LOG=debug --env MODE=beta
  dinp push --image apps/shop:v1 --app shop-beta
  dinp push shop.war
  dinp push --url https://example.com/shop-1.2.war --app shop

The app's name is --app, else "app:" in dinp.yaml, else made of the folder's name.
An image brings its command and variables along, but no dinp.yaml: all else comes from flags, or stays as it is.
Returns when the app answers through the router; prints its URL on standard output.`;

/** `dinp push`. */
export function registerPush({ program, context }: Registration): void {
  withWait(
    program
      .command("push")
      .summary("deploy a folder, archive or program")
      .description("Uploads built code, makes an image of it, and runs it as a new release of the app.")
      .argument(
        "[source]",
        "a folder, a .tar.gz, .tar, .zip, .war or .jar, or one program (default: this folder)",
      )
      .option(
        "--url <url>",
        "an archive that the platform is to fetch itself, by http or https, without credentials",
        parseSourceUrl,
      )
      .option("--build <id>", "release this build of the app (see dinp builds); nothing is uploaded")
      .option(
        "--image <ref>",
        "release this image: REPOSITORY:TAG or REPOSITORY@sha256:…; nothing is uploaded",
      )
      .option("--app <name>", "name of the app (made if there is none)", parseAppName)
      .option("--instances <n>", "how many to run", (text) =>
        parseInteger(text, "--instances", 1, limits.instancesMax),
      )
      .option("--memory <size>", "memory of each instance, such as 256M or 1G", parseMemoryMb)
      .option("--cpu <n>", "processors of each instance, such as 0.5 or 250m", parseCpuMillis)
      .option("--env <K=V>", "set an environment variable; may be repeated", collect)
      .option("--template <name>", "how to run it (see dinp templates); found out by itself if absent")
      .option("--base <name>", "the base image to put the app on (see dinp bases)")
      .option("--command <line>", "the command that starts it; must listen on $PORT")
      .option("--note <text>", "why this release exists"),
  )
    .addHelpText("after", examples)
    .action(async (source: string | undefined, flags: PushFlags, command: Command) => {
      await push(context, source, flagsOf(flags, command));
    });
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

async function push(context: Context, path: string | undefined, flags: PushFlags): Promise<void> {
  const { err, signal } = context;
  const env = flags.env === undefined ? undefined : parseVariables(flags.env);
  const isNew = flags.build === undefined && flags.image === undefined;
  const { client, app, made } = isNew
    ? await build(context, path, flags)
    : await existing(context, path, flags);
  const request: ReleaseRequest = {
    ...made,
    ...(flags.instances === undefined ? {} : { instances: flags.instances }),
    ...(flags.memory === undefined ? {} : { memoryMb: flags.memory }),
    ...(flags.cpu === undefined ? {} : { cpuMillis: flags.cpu }),
    ...(env === undefined ? {} : { env }),
    ...(isNew || flags.command === undefined ? {} : { command: flags.command }),
    ...(flags.note === undefined ? {} : { note: flags.note }),
  };
  const release = await client.createRelease(app, request, { signal });
  const number = String(release.number);
  err.line(
    release.unchanged
      ? `Nothing changed: release ${number} of ${app} is this already`
      : `Release ${number} of ${app}`,
  );
  if (!flags.wait) err.line(`Not waiting for it. "dinp app ${app}" shows how far it is.`);
  await finishRelease(context, client, app, release, flags);
}

/** What is released, and where. */
interface Pushed {
  readonly client: Client;
  readonly app: string;
  readonly made: Pick<ReleaseRequest, "buildId" | "image">;
}

async function build(context: Context, path: string | undefined, flags: PushFlags): Promise<Pushed> {
  const { err } = context;
  const { shown, name, build: make } = await findCode(context, path, flags);
  const client = await context.connect(flags);
  const built = await make(client, () => {
    err.line(`Pushing ${printable(shown)} to ${err.paint("bold", name.app)} (${name.from})`);
  });
  assertSameApp(name.app, flags.app, built.manifest?.app);
  sayBuilt(context, built);
  return { client, app: name.app, made: { buildId: built.id } };
}

/** Of something that is there already, the app must be named. */
async function existing(context: Context, path: string | undefined, flags: PushFlags): Promise<Pushed> {
  const { app, build: buildId, image } = flags;
  const flag = buildId === undefined ? "--image" : "--build";
  if (buildId !== undefined && image !== undefined) throw usageError("--build and --image go one at a time.");
  if (path !== undefined)
    throw usageError(`${flag} goes without a folder or archive: the code is there already.`);
  if (flags.url !== undefined) throw usageError(`${flag} goes without --url: the code is there already.`);
  if (flags.template !== undefined || flags.base !== undefined)
    throw usageError(`${flag} goes without --template and --base: nothing is built.`);
  if (app === undefined) throw usageError(`${flag} needs --app NAME.`);
  if (image !== undefined)
    context.err.line(
      "Settings are those of the flags, else of the app's current release: no dinp.yaml is read.",
    );
  return { client: await context.connect(flags), app, made: { buildId, image } };
}

/** An archive's own `dinp.yaml` is read by the platform only: a push to another app than it names was hardly meant. */
function assertSameApp(app: string, flag: string | undefined, manifestApp: string | undefined): void {
  if (flag !== undefined || manifestApp === undefined || manifestApp === app) return;
  throw new CliError(
    exitCodes.usage,
    `The archive's dinp.yaml names the app "${printable(manifestApp)}", but this push went to "${app}"; nothing was released.`,
    { hints: [`Push again with --app ${printable(manifestApp)} (or --app ${app}).`] },
  );
}
