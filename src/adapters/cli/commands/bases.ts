import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { pipeline } from "node:stream";
import { assertBaseName } from "@dinp/core";
import type { BaseView } from "@dinp/core/client";
import { InvalidArgumentError, type Command } from "commander";
import type { Context } from "../context.js";
import { CliError, exitCodes, usageError } from "../exit-codes.js";
import { quote } from "../parse.js";
import type { OpenedSource } from "../push-source.js";
import { printTable } from "../table.js";
import { count, formatAgo, formatBytes, printable, shortDigest, toJson } from "../text.js";
import { sendWithProgress } from "../upload-progress.js";
import { flagsOf, withRead, type ReadFlags, type Registration } from "./shared-options.js";

interface AddFlags extends ReadFlags {
  readonly from?: string;
  /** True: of the kind that the base is called by. */
  readonly fromHost?: string | true;
}

const examples = `
Examples:
  docker save node:20-slim -o node.tar && dinp bases add node-20 --from node.tar
  dinp bases add shop-base --from apps/shop:v1
  dinp bases add node --from-host

A file is an OCI image layout, what "docker save" writes, or a root file system ("docker export"), as a tar or .tar.gz.
--from-host copies programs of the machine that the command runs on, with the libraries that they need and a shell.
Apps take a base by "base: NAME" in dinp.yaml, --base NAME, or their template. What was built stays as it is when a base is
added again or removed.`;

/** `dinp bases`, `bases add` and `bases remove`. */
export function registerBases({ program, context }: Registration): void {
  const bases = withRead(program.command("bases"))
    .summary("list the base images that apps can be put on, or change them")
    .description("Lists the base images.")
    .usage("[options] | add <name> --from <tar|image> | add <name> --from-host | remove <name>")
    .enablePositionalOptions()
    .action(async (flags: ReadFlags, command: Command) => {
      await list(context, flagsOf(flags, command));
    });
  const { makeBase } = context.options;
  const adding = withRead(
    bases
      .command("add")
      .option("--from <tar|image>", "a file, or REPOSITORY:TAG (or @sha256:…) in the platform's registry"),
  );
  if (makeBase !== undefined) {
    const kinds = makeBase.names.join(", ");
    adding.option("--from-host [kind]", `this machine's own programs: ${kinds} (default: as the name says)`);
  }
  adding
    .summary("register an image under a name")
    .description("Registers a base image. A name that there is points to the new image from then on.")
    .argument("<name>", "its name, such as node-20", parseBaseName)
    .addHelpText("after", examples)
    .action(async (name: string, flags: AddFlags, command: Command) => {
      await add(context, name, flagsOf(flags, command));
    });
  withRead(bases.command("remove"))
    .summary("take a base image from the list; apps that were built on it stay as they are")
    .argument("<name>", "its name", parseBaseName)
    .action(async (name: string, flags: ReadFlags, command: Command) => {
      const client = await context.connect(flagsOf(flags, command));
      await client.removeBase(name, { signal: context.signal });
      context.err.line(`Removed the base image ${name}`);
    });
}

function parseBaseName(text: string): string {
  try {
    assertBaseName(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : "");
  }
  return text;
}

async function list(context: Context, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const items = await client.listBases({ signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson({ items }, 2));
    return;
  }
  if (items.length === 0) {
    context.err.line("There are no base images. Add one: dinp bases add NAME --from image.tar");
    return;
  }
  const now = context.now();
  const rows = items.map((base) => [
    base.name,
    shortDigest(base.digest),
    String(base.layers),
    formatBytes(base.bytes),
    formatAgo(base.createdAt, now),
    base.createdBy,
    base.source,
  ]);
  const columns = ["BASE", "IMAGE", "LAYERS", "SIZE", "ADDED", "BY", "FROM"].map((header) => ({ header }));
  printTable(context.out, columns, rows);
}

async function add(context: Context, name: string, flags: AddFlags): Promise<void> {
  const base = await added(context, name, flags);
  const size = `${count(base.layers, "layer")}, ${formatBytes(base.bytes)}`;
  context.err.line(
    `Base image ${base.name}: ${shortDigest(base.digest)}, ${size}, from ${printable(base.source)}`,
  );
  if (flags.json === true) context.out.line(toJson(base, 2));
}

async function added(context: Context, name: string, flags: AddFlags): Promise<BaseView> {
  const { from, fromHost } = flags;
  if (from !== undefined && fromHost !== undefined)
    throw usageError("--from and --from-host exclude each other", "Say one of them");
  if (fromHost !== undefined)
    return await addFromHost(context, name, fromHost === true ? name : fromHost, flags);
  if (from === undefined) {
    throw usageError(
      "Nothing says what the base image is made of",
      `Write --from FILE, --from IMAGE${context.options.makeBase === undefined ? "" : " or --from-host"}`,
    );
  }
  const client = await context.connect(flags);
  const { signal } = context;
  const path = resolve(context.cwd, from);
  const stats = await stat(path).catch(() => null);
  if (stats === null && !/[:@]/.test(from)) {
    throw new CliError(exitCodes.usage, `There is no file ${printable(from)}.`, {
      hints: ["Name a tar, or an image of the platform's registry as REPOSITORY:TAG."],
    });
  }
  if (stats === null) return await client.addBase(name, { image: from }, { signal });
  if (!stats.isFile()) {
    throw new CliError(exitCodes.usage, `${printable(from)} is not a file.`, {
      hints: ["Make a tar of it: tar -cf base.tar -C FOLDER ."],
    });
  }
  return await send(context, name, flags, () => openTar(context, path, stats.size));
}

async function addFromHost(context: Context, name: string, kind: string, flags: AddFlags): Promise<BaseView> {
  const { makeBase } = context.options;
  if (makeBase?.names.includes(kind) !== true) {
    throw usageError(
      `There is no kind of base image ${quote(kind)} to make of this machine`,
      `Say which: dinp bases add ${name} --from-host ${makeBase?.names.join("|") ?? ""}`,
    );
  }
  return await send(context, name, flags, async () => {
    const { tar, bytes } = await makeBase.make(kind, { signal: context.signal });
    return { bytes: tar, files: null, totalBytes: bytes };
  });
}

async function send(
  context: Context,
  name: string,
  flags: AddFlags,
  open: () => Promise<OpenedSource>,
): Promise<BaseView> {
  const client = await context.connect(flags);
  const { signal } = context;
  // A bad token or an API that is not there is said before anything is sent.
  await client.session({ signal });
  return await sendWithProgress(context, open, (bytes) => client.uploadBase(name, bytes, { signal }));
}

/** A tar's bytes, unzipped here when it is a `.tar.gz`: the platform takes plain ones. */
async function openTar(context: Context, path: string, fileBytes: number): Promise<OpenedSource> {
  const isZipped = await isGzip(path);
  const { createGunzip } = await import("node:zlib");
  const file = createReadStream(path, { highWaterMark: 256 * 1024, signal: context.signal });
  if (!isZipped) return { bytes: file, files: null, totalBytes: fileBytes };
  return { bytes: pipeline(file, createGunzip(), () => undefined), files: null, totalBytes: 0 };
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
