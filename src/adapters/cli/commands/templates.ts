import type { Command } from "commander";
import type { Context } from "../context.js";
import { printTable, type Cell } from "../table.js";
import { printable, toJson } from "../text.js";
import { flagsOf, withRead, type ReadFlags, type Registration } from "./shared-options.js";

/** `dinp templates`. */
export function registerTemplates({ program, context }: Registration): void {
  withRead(program.command("templates"))
    .summary("list what apps can be made of")
    .description(
      "Lists the templates in the order in which they are tried: what makes an app one of them, where its command is\n" +
        "found when the app does not say it, and the programs that it needs. The first that fits is taken.",
    )
    .action(async (flags: ReadFlags, command: Command) => {
      await templates(context, flagsOf(flags, command));
    });
}

async function templates(context: Context, flags: ReadFlags): Promise<void> {
  const client = await context.connect(flags);
  const items = await client.listTemplates({ signal: context.signal });
  if (flags.json === true) {
    context.out.line(toJson({ items }, 2));
    return;
  }
  const rows = items.map((template): Cell[] => [
    printable(template.name),
    printable(template.recognizedBy ?? "(its name only)"),
    printable(template.commandFrom ?? "(its own)"),
    printable(template.requires.join(" ")),
    printable(template.description),
  ]);
  const columns = [
    { header: "TEMPLATE" },
    { header: "RECOGNIZED BY" },
    { header: "COMMAND FROM" },
    { header: "NEEDS" },
    { header: "FOR" },
  ] as const;
  printTable(context.out, columns, rows);
}
