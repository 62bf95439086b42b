import type { Command } from "commander";
import type { Client, DomainView } from "@dinp/core/client";
import { awaitOffRouter, awaitOnRouter } from "../await-answer.js";
import type { Context } from "../context.js";
import { parseDomain } from "../parse.js";
import { printable, toJson } from "../text.js";
import { startWaiting, type Waiting } from "../wait-guards.js";
import { addAppGroup } from "./app-group.js";
import {
  appArgument,
  defaultTimeoutMs,
  flagsOf,
  withRead,
  withWait,
  type ReadFlags,
  type Registration,
  type WaitFlags,
} from "./shared-options.js";

/** `dinp domains`, `domains list`, `domains add` and `domains remove`. */
export function registerDomains({ program, context }: Registration): void {
  const domains = addAppGroup(program, {
    name: "domains",
    summary: "show or change an app's own domains",
    description: "Shows the domains that lead to an app besides its own address.",
    usage: ["<app>", "add <app> <host[/path]>", "remove <app> <host[/path]>"],
    examples: ["APP", "add APP HOST", "remove APP HOST"],
    show: (app, flags) => list(context, app, flags),
  });
  withRead(domains.command("list"))
    .summary("show the domains")
    .argument(...appArgument())
    .action(async (app: string, flags: ReadFlags, command: Command) => {
      await list(context, app, flagsOf(flags, command));
    });
  withWait(domains.command("add"))
    .summary("let a host (and path) lead to the app")
    .argument(...appArgument())
    .argument("<host[/path]>", "such as shop.example.com or example.com/shop", parseDomain)
    .action(async (app: string, domain: DomainArgument, flags: WaitFlags, command: Command) => {
      await add(context, app, domain, flagsOf(flags, command));
    });
  withWait(domains.command("remove"))
    .summary("take a host (and path) away from the app")
    .argument(...appArgument())
    .argument("<host[/path]>", "as it was added", parseDomain)
    .action(async (app: string, domain: DomainArgument, flags: WaitFlags, command: Command) => {
      await remove(context, app, domain, flagsOf(flags, command));
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

async function remove(
  context: Context,
  app: string,
  domain: DomainArgument,
  flags: WaitFlags,
): Promise<void> {
  const { err, signal } = context;
  const client = await context.connect(flags);
  await client.removeDomain(app, domain, { signal });
  // What another domain of the same host covers goes on being answered.
  const isAlone = domain.path === "/";
  if (flags.wait && isAlone)
    await awaitOffRouter(waitingFor(context, client, app, flags), await urlOf(context, client, domain));
  err.line(`${shown(domain)} no longer leads to ${app}`);
  if (flags.json === true) context.out.line(toJson({ deleted: true }, 2));
}

function waitingFor(context: Context, client: Client, app: string, flags: WaitFlags): Waiting {
  const timeoutMs = flags.timeout ?? defaultTimeoutMs;
  return startWaiting(context, client, app, { timeoutMs, operation: "the change of the routes" });
}

/** The domain's address at the router. */
async function urlOf(context: Context, client: Client, { host, path }: DomainView): Promise<string> {
  const { routerUrl } = await client.info({ signal: context.signal });
  const router = new URL(routerUrl);
  return `${router.protocol}//${host}${router.port === "" ? "" : `:${router.port}`}${path}`;
}

/** Waits until the router leads to the app there, if anything of the app could answer. */
async function awaitDomain(
  context: Context,
  client: Client,
  app: string,
  domain: DomainView,
  flags: WaitFlags,
): Promise<void> {
  const detail = await client.getApp(app, { signal: context.signal });
  if (detail.desired === "stopped" || detail.ready === 0) {
    context.err.line(`${app} is ${detail.state}: nothing answers there yet.`);
    return;
  }
  await awaitOnRouter(waitingFor(context, client, app, flags), await urlOf(context, client, domain));
}

async function add(context: Context, app: string, domain: DomainArgument, flags: WaitFlags): Promise<void> {
  const { err, signal } = context;
  const client = await context.connect(flags);
  const added = await client.addDomain(app, domain, { signal });
  const { routerUrl } = await client.info({ signal });
  if (flags.wait) await awaitDomain(context, client, app, added, flags);
  err.line(err.paint("green", `${shown(added)} leads to ${app}`));
  err.line(`Point the DNS of ${printable(added.host)} at the router. To try it before that:`);
  err.line(
    `  curl -H 'Host: ${printable(added.host)}' ${routerUrl.replace(/\/$/, "")}${printable(added.path)}`,
  );
  if (flags.json === true) context.out.line(toJson(added, 2));
}
