import { limits } from "@dinp/core";
import type { ReleaseRequest } from "@dinp/core/client";
import type { Command } from "commander";
import { parseAppName } from "../app-name.js";
import type { Context } from "../context.js";
import { CliError, exitCodes } from "../exit-codes.js";
import { parseCpuMillis, parseInteger, parseMemoryMb, parseVariables } from "../parse.js";
import { chooseAppName, findSource, openSource, type Source } from "../push-source.js";
import { count, formatBytes, formatCommand, printable, shortDigest } from "../text.js";
import { UploadProgress } from "../upload-progress.js";
import { awaitRelease } from "../waiting.js";
import { defaultTimeoutMs, flagsOf, withWait, type Registration, type WaitFlags } from "./registry.js";

interface PushFlags extends WaitFlags {
  readonly app?: string;
  readonly instances?: number;
  readonly memory?: number;
  readonly cpu?: number;
  readonly env?: readonly string[];
  readonly template?: string;
  readonly command?: string;
  readonly note?: string;
}

const examples = `
Examples:
  dinp push                                  the folder that you are in
  dinp push ./site --app shop --instances 2
  dinp push build.tar.gz --app api --env LOG=debug --env MODE=beta

The app's name is --app, else "app:" in dinp.yaml, else made of the folder's name.
Returns when the app answers through the router; prints its URL on standard output.`;

/** `dinp push`. */
export function registerPush({ program, context }: Registration): void {
  withWait(
    program
      .command("push")
      .summary("deploy a folder or archive of built code")
      .description("Uploads built code, makes an image of it, and runs it as a new release of the app.")
      .argument("[source]", "a folder, or a .tar.gz of one", ".")
      .option("--app <name>", "name of the app (made if there is none)", parseAppName)
      .option("--instances <n>", "how many to run", (text) =>
        parseInteger(text, "--instances", 1, limits.instancesMax),
      )
      .option("--memory <size>", "memory of each instance, such as 256M or 1G", parseMemoryMb)
      .option("--cpu <n>", "processors of each instance, such as 0.5 or 250m", parseCpuMillis)
      .option("--env <K=V>", "set an environment variable; may be repeated", collect)
      .option("--template <name>", "how to run it (node, python, static); found out by itself if absent")
      .option("--command <line>", "the command that starts it; must listen on $PORT")
      .option("--note <text>", "why this release exists"),
  )
    .addHelpText("after", examples)
    .action(async (source: string, flags: PushFlags, command: Command) => {
      await push(context, source, flagsOf(flags, command));
    });
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

async function push(context: Context, path: string, flags: PushFlags): Promise<void> {
  const { err, signal } = context;
  const env = flags.env === undefined ? undefined : parseVariables(flags.env);
  const source = await findSource(path, context);
  const name = await chooseAppName(source, flags.app, context);
  const client = await context.connect(flags);
  // A bad token or an API that is not there is said before anything is packed.
  await client.session({ signal });
  err.line(`Pushing ${printable(source.shownPath)} to ${err.paint("bold", name.app)} (${name.from})`);

  const build = await upload(context, source, (bytes) =>
    client.createBuild(name.app, bytes, { template: flags.template, command: flags.command, signal }),
  );
  if (build.state !== "succeeded" || build.digest === null) {
    throw new CliError(
      exitCodes.failed,
      `The build failed: ${printable(build.error ?? "no reason was given")}`,
    );
  }
  assertSameApp(name.app, flags.app, build.manifest?.app);
  const size = `${count(build.files, "file")}, ${formatBytes(build.bytes)}`;
  err.line(`Image ${shortDigest(build.digest)}: template ${printable(build.template)}, ${size}`);
  err.line(`Command: ${printable(formatCommand(build.command))}`);

  const request: ReleaseRequest = {
    buildId: build.id,
    ...(flags.instances === undefined ? {} : { instances: flags.instances }),
    ...(flags.memory === undefined ? {} : { memoryMb: flags.memory }),
    ...(flags.cpu === undefined ? {} : { cpuMillis: flags.cpu }),
    ...(env === undefined ? {} : { env }),
    ...(flags.note === undefined ? {} : { note: flags.note }),
  };
  const release = await client.createRelease(name.app, request, { signal });
  const number = String(release.number);
  err.line(
    release.unchanged
      ? `Nothing changed: release ${number} of ${name.app} is this already`
      : `Release ${number} of ${name.app}`,
  );
  if (!flags.wait) {
    err.line(`Not waiting for it. "dinp app ${name.app}" shows how far it is.`);
    return;
  }
  await awaitRelease(context, client, name.app, { release, timeoutMs: flags.timeout ?? defaultTimeoutMs });
}

/** Opens the source and sends it, with the account of that. */
async function upload<T>(
  context: Context,
  source: Source,
  send: (bytes: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const progress = new UploadProgress(context.err, { now: context.now });
  try {
    const opened = await openSource(source, context, (readBytes) => {
      progress.read(readBytes);
    });
    progress.total(opened);
    const answer = await send(progress.count(opened.bytes));
    progress.done();
    return answer;
  } catch (error) {
    throw progress.sourceFailure ?? error;
  } finally {
    progress.clear();
  }
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
