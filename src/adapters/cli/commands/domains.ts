import type { Command } from "commander";
import { parseAppName } from "../app-name.js";
import type { ConnectionFlags, Context } from "../context.js";
import { usageError } from "../exit-codes.js";
import { parseDomain } from "../parse.js";
import { printable, toJson } from "../text.js";
import {
  appArgument,
  flagsOf,
  withConnection,
  withRead,
  type ReadFlags,
  type Registration,
} from "./registry.js";

/** `dinp domains`, `domains list`, `domains add` and `domains remove`. */
export function registerDomains({ program, context }: Registration): void {
  const domains = withRead(program.command("domains"))
    .summary("show or change an app's own domains")
    .description("Shows the domains that lead to an app besides its own address.")
    .usage("<app> | add <app> <host[/path]> | remove <app> <host[/path]>")
    .argument("[app]", "name of the app", parseAppName)
    .enablePositionalOptions()
    .action(async (app: string | undefined, flags: ReadFlags, command: Command) => {
      if (app === undefined)
        throw usageError(
          "The name of an app is missing.",
          'Write "dinp domains APP", "dinp domains add APP HOST" or "dinp domains remove APP HOST".',
        );
      await list(context, app, flagsOf(flags, command));
    });
  withRead(domains.command("list"))
    .summary("show the domains")
    .argument(...appArgument())
    .action(async (app: string, flags: ReadFlags, command: Command) => {
      await list(context, app, flagsOf(flags, command));
    });
  withConnection(domains.command("add"))
    .summary("let a host (and path) lead to the app")
    .argument(...appArgument())
    .argument("<host[/path]>", "such as shop.example.com or example.com/shop", parseDomain)
    .action(async (app: string, domain: DomainArgument, flags: ConnectionFlags, command: Command) => {
      await add(context, app, domain, flagsOf(flags, command));
    });
  withConnection(domains.command("remove"))
    .summary("take a host (and path) away from the app")
    .argument(...appArgument())
    .argument("<host[/path]>", "as it was added", parseDomain)
    .action(async (app: string, domain: DomainArgument, flags: ConnectionFlags, command: Command) => {
      const client = await context.connect(flagsOf(flags, command));
      await client.removeDomain(app, domain, { signal: context.signal });
      context.err.line(`${shown(domain)} no longer leads to ${app}`);
    });
}

type DomainArgument = ReturnType<typeof parseDomain>;

function shown({ host, path }: DomainArgument): string {
  return printable(path === "/" ? host : `${host}${path}`);
}

async function list(context: Context, app: string, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const items = await client.listDomains(app, { signal: context.signal });
  if (flags.json === true) context.out.line(toJson({ items }, 2));
  else if (items.length === 0) {
    context.err.line(`${app} has no domains of its own. Add one: dinp domains add ${app} HOST`);
  } else for (const domain of items) context.out.line(shown(domain));
}

async function add(
  context: Context,
  app: string,
  domain: DomainArgument,
  flags: ConnectionFlags,
): Promise<void> {
  const { err, signal } = context;
  const client = await context.connect(flags);
  const added = await client.addDomain(app, domain, { signal });
  const { routerUrl } = await client.info({ signal });
  err.line(err.paint("green", `${shown(added)} leads to ${app}`));
  err.line(`Point the DNS of ${printable(added.host)} at the router. To try it before that:`);
  err.line(
    `  curl -H 'Host: ${printable(added.host)}' ${routerUrl.replace(/\/$/, "")}${printable(added.path)}`,
  );
}
