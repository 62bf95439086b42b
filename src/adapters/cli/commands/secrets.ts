import { join, resolve } from "node:path";
import type { SecretKeysView } from "@dinp/core/client";
import type { Command } from "commander";
import type { AddSecretKey, Context } from "../context.js";
import { usageError } from "../exit-codes.js";
import { defaultDataFolder } from "../folders.js";
import { printTable } from "../table.js";
import { toJson } from "../text.js";
import { flagsOf, withRead, type ReadFlags, type Registration } from "./shared-options.js";

const help = `
A new key is added to the file of the platform's keys, on its machine, and seals from then on; servers read the file
anew by themselves. What older keys have sealed is sealed anew within minutes. "dinp secrets keys" then says which keys
nothing is sealed with any more: their lines may be removed from the file.`;

/** `dinp secrets keys` and `dinp secrets rotate`. */
export function registerSecrets({ program, context }: Registration, addSecretKey?: AddSecretKey): void {
  const secrets = program
    .command("secrets")
    .summary("look after the keys that secrets are sealed with")
    .description(
      'Looks after the keys that secrets are sealed with. A secret is set by "dinp env set --secret".',
    )
    .usage("keys | rotate")
    .enablePositionalOptions();
  withRead(secrets.command("keys"))
    .summary("list the keys, and how much each has sealed")
    .action(async (flags: ReadFlags, command: Command) => {
      await list(context, flagsOf(flags, command));
    });
  if (addSecretKey === undefined) return;
  secrets
    .command("rotate")
    .summary("add a new key, which seals from then on")
    .option("--key-file <file>", 'the file of keys (default: that of "dinp up")')
    .addHelpText("after", help)
    .action(async (flags: { readonly keyFile?: string }) => {
      await rotate(context, flags.keyFile, addSecretKey);
    });
}

async function list(context: Context, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const view = await client.listSecretKeys({ signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson(view, 2));
    return;
  }
  const rows = view.keys.map(({ name, state, sealed }) => [name, state, String(sealed)]);
  if (view.unnamed > 0) rows.push(["(one key's time)", "-", String(view.unnamed)]);
  if (rows.length === 0) {
    context.err.line("There are no keys yet: the first secret makes one.");
    return;
  }
  printTable(
    context.out,
    ["KEY", "STATE", "SEALED"].map((header) => ({ header })),
    rows,
  );
  tellNext(context, view);
}

function tellNext(context: Context, { keys, unnamed }: SecretKeysView): void {
  const missing = keys.filter(({ state }) => state === "missing").map(({ name }) => name);
  if (missing.length > 0)
    context.err.line(`Secrets are sealed with keys that are not there: ${missing.join(", ")}. Restore them.`);
  const idle = keys.filter(({ state, sealed }) => state === "opens" && sealed === 0).map(({ name }) => name);
  if (unnamed === 0 && idle.length > 0)
    context.err.line(
      `Nothing is sealed with ${idle.join(", ")}: unless it is to seal from now on, it may be removed from the file.`,
    );
}

async function rotate(
  context: Context,
  keyFile: string | undefined,
  addSecretKey: AddSecretKey,
): Promise<void> {
  if (keyFile === "") throw usageError("The file of keys has no name.", "Write --key-file FILE.");
  const file = resolve(context.cwd, keyFile ?? join(defaultDataFolder(context.options.env), "secrets.key"));
  const [name = "", ...older] = await addSecretKey(file);
  context.err.line(`Secrets are sealed with the key ${name} from now on, in ${file}`);
  if (older.length > 0)
    context.err.line("Older keys stay until nothing is sealed with them: dinp secrets keys");
}
