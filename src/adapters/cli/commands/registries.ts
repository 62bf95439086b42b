import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { assertRegistryHost, messageOf } from "@dinp/core";
import { InvalidArgumentError, type Command } from "commander";
import type { Context } from "../context.js";
import { CliError, exitCodes, usageError } from "../exit-codes.js";
import { readLine } from "../input.js";
import { printTable } from "../table.js";
import { formatAgo, printable, toJson } from "../text.js";
import { flagsOf, withRead, type ReadFlags, type Registration } from "./shared-options.js";

interface AddFlags extends ReadFlags {
  readonly username?: string;
  readonly ca?: string;
  readonly plainHttp?: boolean;
}

const examples = `
Examples:
  dinp registries add registry.example:5000 --username ci     asks for the password
  dinp registries add registry.example:5000 --username ci < token.txt
  dinp push --image registry.example:5000/shop/web:v1 --app web

Without --username the registry is asked anonymously. The password is kept sealed, and nobody is shown it again.`;

/** `dinp registries`, `registries add` and `registries remove`. */
export function registerRegistries({ program, context }: Registration): void {
  const registries = withRead(program.command("registries"))
    .summary("list the registries that images may be taken from, or change them")
    .description("Lists the registries, besides the platform's own, that images may be taken from.")
    .usage("[options] | add <host> | remove <host>")
    .enablePositionalOptions()
    .action(async (flags: ReadFlags, command: Command) => {
      await list(context, flagsOf(flags, command));
    });
  withRead(registries.command("add"))
    .summary("allow images of a registry")
    .description("Allows images of a registry, or replaces how it is spoken to.")
    .argument("<host>", "as it stands in references to images, with its port", parseHost)
    .option("--username <user>", "who asks; the password is asked for, or read from standard input")
    .option("--ca <file>", "certificates (PEM) of its authority")
    .option("--plain-http", "speak http: others can read and change what is sent")
    .addHelpText("after", examples)
    .action(async (host: string, flags: AddFlags, command: Command) => {
      await add(context, host, flagsOf(flags, command));
    });
  withRead(registries.command("remove"))
    .summary("take no more images from a registry; those that were taken stay")
    .argument("<host>", "its host", parseHost)
    .action(async (host: string, flags: ReadFlags, command: Command) => {
      const client = await context.connect(flagsOf(flags, command));
      await client.removeRegistry(host, { signal: context.signal });
      context.err.line(`Removed the registry ${host}`);
    });
}

function parseHost(text: string): string {
  try {
    assertRegistryHost(text);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
  return text;
}

async function list(context: Context, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const items = await client.listRegistries({ signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson({ items }, 2));
    return;
  }
  if (items.length === 0) {
    context.err.line("Images are taken from no other registry. Allow one: dinp registries add HOST");
    return;
  }
  const now = context.now();
  const rows = items.map((registry) => [
    registry.host,
    registry.username ?? "-",
    registry.plainHttp ? "http" : "https",
    registry.hasCa ? "own" : "-",
    formatAgo(registry.createdAt, now),
    registry.createdBy,
  ]);
  const columns = ["REGISTRY", "USER", "SPEAKS", "CA", "ADDED", "BY"].map((header) => ({ header }));
  printTable(context.out, columns, rows);
}

async function add(context: Context, host: string, flags: AddFlags): Promise<void> {
  const { username, plainHttp } = flags;
  const ca = flags.ca === undefined ? undefined : await readCertificates(resolve(context.cwd, flags.ca));
  const client = await context.connect(flags);
  context.listenForInterrupts();
  // A bad token or an API that is not there is said before a password is asked for.
  await client.session({ signal: context.signal });
  const password = username === undefined ? undefined : await askPassword(context, host, username);
  const request = { username, password, ca, plainHttp };
  const registry = await client.addRegistry(host, request, { signal: context.signal });
  const who = registry.username === null ? "anonymously" : `as ${printable(registry.username)}`;
  context.err.line(`Images of ${registry.host} can be used, ${who}`);
  if (flags.json === true) context.out.line(toJson(registry, 2));
}

async function readCertificates(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new CliError(exitCodes.usage, `The certificates cannot be read: ${messageOf(error)}`);
  }
}

async function askPassword(context: Context, host: string, username: string): Promise<string> {
  const { stdin } = context.options;
  const isPrompt = stdin.isTTY === true;
  if (isPrompt) context.err.raw(`Password of ${printable(username)} at ${host} (not shown): `);
  try {
    const password = await readLine(stdin, { hidden: true, signal: context.signal });
    if (password !== "") return password;
  } finally {
    if (isPrompt) context.err.line();
  }
  throw usageError("There is no password.", "Type it, or give it through standard input.");
}
