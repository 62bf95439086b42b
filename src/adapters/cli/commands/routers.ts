import { assertRouterId, messageOf, type RouterView } from "@dinp/core";
import { InvalidArgumentError, type Command } from "commander";
import type { Context } from "../context.js";
import { printTable, type Cell } from "../table.js";
import { formatAgo, printable, toJson } from "../text.js";
import { registerRouterTokens } from "./router-tokens.js";
import { flagsOf, withRead, type ReadFlags, type Registration } from "./shared-options.js";

interface AddFlags extends ReadFlags {
  readonly address?: string;
}

interface ForgetFlags extends ReadFlags {
  readonly confirm?: boolean;
}

const forgetHelp = `
End the router first. One that runs without being registered could send an app's requests to another app: while it
acknowledges the present table, --confirm is needed. One that comes back registers again by itself.`;

/** `dinp routers`, and which routers the platform waits for. */
export function registerRouters({ program, context }: Registration): void {
  const group = withRead(program.command("routers"))
    .summary("list the routers that the platform waits for, or change them")
    .description(
      "Lists the routers that drains and ports wait for: how far behind the route table each is, and the instances whose ports wait for it.",
    )
    .usage("[options] | add <router> | forget <router> | token | tokens | revoke-token <id>")
    .enablePositionalOptions()
    .action(async (flags: ReadFlags, command: Command) => {
      await list(context, flagsOf(flags, command));
    });
  withRead(group.command("add"))
    .summary("register a router; admins only")
    .description("Registers a router. Routers that know the servers (router.servers) do that by themselves.")
    .argument("<router>", "its id (router.id)", parseId)
    .option("--address <text>", "where it is, for people")
    .action(async (id: string, flags: AddFlags, command: Command) => {
      await add(context, id, flagsOf(flags, command));
    });
  withRead(group.command("forget"))
    .summary("wait for a router no more; admins only")
    .description("Forgets a router that is gone for good: drains and ports wait for it no more.")
    .argument("<router>", "its id, as the list shows it")
    .option("--confirm", "also when it seems to be at work")
    .addHelpText("after", forgetHelp)
    .action(async (id: string, flags: ForgetFlags, command: Command) => {
      const client = await context.connect(flagsOf(flags, command));
      await client.forgetRouter(id, { confirm: flags.confirm, signal: context.signal });
      context.err.line(`Nothing waits for the router ${printable(id)} any more`);
    });
  registerRouterTokens(group, context);
}

function parseId(text: string): string {
  try {
    assertRouterId(text);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
  return text;
}

async function add(context: Context, id: string, flags: AddFlags): Promise<void> {
  const client = await context.connect(flags);
  const request = flags.address === undefined ? {} : { address: flags.address };
  const router = await client.registerRouter(id, request, { signal: context.signal });
  context.err.line(`The router ${router.id} is waited for from now on`);
  if (flags.json === true) context.out.line(toJson(router, 2));
}

async function list(context: Context, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const items = await client.listRouters({ signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson({ items }, 2));
    return;
  }
  if (items.length === 0) {
    context.err.line("There are no routers: nothing reaches the apps. A router appears when it registers.");
    return;
  }
  const now = context.now();
  const rows = items.map((router): Cell[] => [
    router.id,
    router.address === "" ? "-" : printable(router.address),
    formatAgo(router.registeredAt, now),
    tableOf(router),
    numberOf(router.busy),
    numberOf(router.holdsUp),
  ]);
  const columns = [
    { header: "ROUTER" },
    { header: "ADDRESS" },
    { header: "REGISTERED" },
    { header: "TABLE" },
    { header: "BUSY", align: "right" },
    { header: "PORTS WAITING", align: "right" },
  ] as const;
  printTable(context.out, columns, rows);
}

function tableOf({ acknowledged, behind, holdsUp }: RouterView): Cell {
  if (behind === 0) return "present";
  if (behind !== null) return { text: `${String(behind)} behind`, color: "yellow" };
  if (acknowledged !== null) return { text: "of another past", color: "yellow" };
  return holdsUp === null ? "unknown" : { text: "none yet", color: "yellow" };
}

function numberOf(count: number | null): string {
  return count === null ? "-" : String(count);
}
