import type { ExplainView } from "@dinp/core/client";
import type { Command } from "commander";
import type { Context } from "../context.js";
import { findTarget } from "../find-instance.js";
import { formatAgo, formatDuration, printable, toJson } from "../text.js";
import { flagsOf, withRead, type ReadFlags, type Registration } from "./shared-options.js";

/** `dinp explain`. */
export function registerExplain({ program, context }: Registration): void {
  withRead(program.command("explain"))
    .summary("say why an app or an instance is as it is")
    .description(
      "Says why an app (or one instance) is in its state: what is wanted, where it is placed and why, what its\n" +
        "checks say, whether it is routed, what the platform refuses, and what happened last.",
    )
    .argument("<app|instance>", "name of the app, or an instance's id (its beginning is enough)")
    .action(async (target: string, flags: ReadFlags, command: Command) => {
      await showExplanation(context, target, flagsOf(flags, command));
    });
}

async function showExplanation(context: Context, target: string, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const { app, instance } = await findTarget(context, client, target, undefined);
  const view = await client.explain(app, { instance }, { signal: context.signal });
  if (flags.json === true) context.out.line(toJson(view, 2));
  else for (const line of explanationLines(context, view)) context.out.line(line);
}

function explanationLines(context: Context, view: ExplainView): string[] {
  const { paint } = context.out;
  const now = context.now();
  const when = (at: number | null): string => {
    if (at === null) return "";
    return at > now ? `, in ${formatDuration(at - now)}` : `, ${formatAgo(at, now)}`;
  };
  return [
    paint("bold", printable(view.summary)),
    "",
    ...view.facts.map(
      ({ about, text, at }) => `  ${about.padEnd(8)}  ${printable(text)}${paint("dim", when(at))}`,
    ),
    ...(view.next.length === 0 ? [] : ["", "What to do"]),
    ...view.next.map((text) => `  ${printable(text)}`),
  ];
}
