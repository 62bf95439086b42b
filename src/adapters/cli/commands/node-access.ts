import { InvalidArgumentError, type Command } from "commander";
import type { Context } from "../context.js";
import { printTable } from "../table.js";
import { formatAgo, formatDuration, printable, toJson } from "../text.js";
import { flagsOf, withRead, type ReadFlags } from "./shared-options.js";

interface JoinTokenFlags extends ReadFlags {
  readonly ttl?: number;
}

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

const examples = `
Examples:
  dinp nodes join-token                 valid for an hour, for any number of nodes
  dinp nodes join-token --ttl 10m > join-token.txt

The token alone goes to standard output. It is shown this once; a node that has joined needs it no more.`;

/** `dinp nodes join-token`, `join-tokens`, `revoke-token` and `revoke`. */
export function registerNodeAccess(nodes: Command, context: Context): void {
  withRead(nodes.command("join-token"))
    .summary("make a token by which nodes can join; admins only")
    .option("--ttl <time>", "for how long it is valid: minutes (10m), hours (2h) or days (1d)", parseTtl)
    .addHelpText("after", examples)
    .action(async (flags: JoinTokenFlags, command: Command) => {
      await makeToken(context, flagsOf(flags, command));
    });
  withRead(nodes.command("join-tokens"))
    .summary("list the join tokens that have not expired")
    .action(async (flags: ReadFlags, command: Command) => {
      await listTokens(context, flagsOf(flags, command));
    });
  withRead(nodes.command("revoke-token"))
    .summary("let no more nodes join by a token; admins only")
    .argument("<id>", "its id, as the list shows it")
    .action(async (id: string, flags: ReadFlags, command: Command) => {
      const client = await context.connect(flagsOf(flags, command));
      await client.revokeJoinToken(id, { signal: context.signal });
      context.err.line(`No node can join by ${printable(id)} any more`);
    });
  withRead(nodes.command("revoke"))
    .summary("end a node's connection, and let it in no more; admins only")
    .argument("<node>", "its id")
    .action(async (id: string, flags: ReadFlags, command: Command) => {
      const client = await context.connect(flagsOf(flags, command));
      await client.revokeNode(id, { signal: context.signal });
      context.err.line(`The node ${printable(id)} is let in no more`);
    });
}

async function makeToken(context: Context, flags: JoinTokenFlags): Promise<void> {
  const client = await context.connect(flags);
  const request = flags.ttl === undefined ? {} : { ttlMs: flags.ttl };
  const token = await client.createJoinToken(request, { signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson(token, 2));
    return;
  }
  context.out.line(token.secret);
  const validFor = formatDuration(token.expiresAt - token.createdAt);
  context.err.line(`Nodes can join by this token (${token.id}) for ${validFor}`);
}

async function listTokens(context: Context, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const items = await client.listJoinTokens({ signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson({ items }, 2));
    return;
  }
  if (items.length === 0) {
    context.err.line("No node can join just now. Make a token: dinp nodes join-token");
    return;
  }
  const now = context.now();
  const rows = items.map((token) => [
    token.id,
    formatAgo(token.createdAt, now),
    token.createdBy,
    new Date(token.expiresAt).toISOString(),
  ]);
  printTable(
    context.out,
    ["TOKEN", "MADE", "BY", "EXPIRES"].map((header) => ({ header })),
    rows,
  );
}

function parseTtl(text: string): number {
  const match = /^([1-9][0-9]{0,4})([mhd])$/.exec(text);
  const ttlMs = Number(match?.[1] ?? 0) * (UNITS[match?.[2] ?? ""] ?? 0);
  if (ttlMs >= 60_000 && ttlMs <= 30 * 86_400_000) return ttlMs;
  throw new InvalidArgumentError("Give minutes, hours or days, such as 10m, 2h or 1d; at most 30d.");
}
