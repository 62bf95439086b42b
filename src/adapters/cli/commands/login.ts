import { resolveApiUrl, saveCredentials } from "../credentials.js";
import { CliError, exitCodes, usageError } from "../exit-codes.js";
import { readLine } from "../input.js";
import { printable } from "../text.js";
import type { ConnectionFlags, Context } from "../context.js";
import { flagsOf, withConnection, type Registration } from "./shared-options.js";
import type { Command } from "commander";

/** `dinp login`. */
export function registerLogin({ program, context }: Registration): void {
  withConnection(program.command("login"))
    .summary("store a token for an API")
    .description(
      "Checks a token and stores it for its API, which becomes the one that later commands use.\n" +
        "The token is taken from --token, else DINP_TOKEN, else it is asked for (or read from standard input).",
    )
    .action(async (flags: ConnectionFlags, command: Command) => {
      await login(context, flagsOf(flags, command));
    });
}

async function login(context: Context, flags: ConnectionFlags): Promise<void> {
  context.listenForInterrupts();
  const url = await resolveApiUrl(flags.api, context.options.env);
  // An API that is not there is said before a token is asked for.
  await context.clientOf({ url, token: null, tokenFrom: null }).info({ signal: context.signal });
  const token = await tokenFor(context, flags, url);
  const client = context.clientOf({ url, token, tokenFrom: "flag" });
  const session = await client.session({ signal: context.signal });
  const path = await saveCredentials(context.options.env, { apiUrl: url, token });
  context.err.line(`Logged in to ${url} as ${printable(session.subject)} (${session.role}).`);
  context.err.line(`The token is in ${path}`);
}

async function tokenFor(context: Context, flags: ConnectionFlags, url: string): Promise<string> {
  const given = flags.token ?? context.options.env["DINP_TOKEN"] ?? "";
  const token = (given === "" ? await askToken(context, url) : given).trim();
  if (token === "") {
    throw usageError(
      "There is no token.",
      "Give one with --token or DINP_TOKEN, or through standard input.",
      '"dinp up" printed it when it first started; "dinp up --new-token" makes another.',
    );
  }
  if (!/^[\x21-\x7e]{1,4096}$/.test(token)) {
    throw new CliError(exitCodes.usage, "A token has no spaces and only printable ASCII characters.");
  }
  return token;
}

async function askToken(context: Context, url: string): Promise<string> {
  const { stdin } = context.options;
  const isPrompt = stdin.isTTY === true;
  if (isPrompt) context.err.raw(`Token for ${url} (not shown): `);
  try {
    return await readLine(stdin, { hidden: true, signal: context.signal });
  } finally {
    if (isPrompt) context.err.line();
  }
}
