import type { Command } from "commander";
import type { Context } from "../context.js";
import { printTable } from "../table.js";
import { formatAgo, printable, toJson } from "../text.js";
import { flagsOf, withRead, type ReadFlags } from "./shared-options.js";

const examples = `
Examples:
  dinp routers token > /etc/dinp/router-token

The token alone goes to standard output. It is shown this once; any number of routers can use it (router.token), and it can
do nothing but register routers.`;

/** `dinp routers token`, `tokens` and `revoke-token`. */
export function registerRouterTokens(routers: Command, context: Context): void {
  withRead(routers.command("token"))
    .summary("make a token by which routers register; admins only")
    .addHelpText("after", examples)
    .action(async (flags: ReadFlags, command: Command) => {
      await makeToken(context, flagsOf(flags, command));
    });
  withRead(routers.command("tokens"))
    .summary("list the routers' tokens")
    .action(async (flags: ReadFlags, command: Command) => {
      await listTokens(context, flagsOf(flags, command));
    });
  withRead(routers.command("revoke-token"))
    .summary("let no more routers register by a token; admins only")
    .argument("<id>", "its id, as the list shows it")
    .action(async (id: string, flags: ReadFlags, command: Command) => {
      const client = await context.connect(flagsOf(flags, command));
      await client.revokeRouterToken(id, { signal: context.signal });
      context.err.line(`No router can register by ${printable(id)} any more`);
    });
}

async function makeToken(context: Context, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const token = await client.createRouterToken({ signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson(token, 2));
    return;
  }
  context.out.line(token.secret);
  context.err.line(`Routers can register by this token (${token.id}) until it is revoked`);
}

async function listTokens(context: Context, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const items = await client.listRouterTokens({ signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson({ items }, 2));
    return;
  }
  if (items.length === 0) {
    context.err.line("Routers have no token. Make one: dinp routers token");
    return;
  }
  const now = context.now();
  printTable(
    context.out,
    [{ header: "TOKEN" }, { header: "MADE" }],
    items.map(({ id, createdAt }) => [id, formatAgo(createdAt, now)]),
  );
}
