import type { Command } from "commander";
import { parseAppName } from "../app-name.js";
import { usageError } from "../exit-codes.js";
import { flagsOf, withRead, type ReadFlags } from "./shared-options.js";

export interface AppGroup {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  /** How each of its commands is called, as in `<app>` and `set <app> <K=V...>`. */
  readonly usage: readonly string[];
  /** The same as one would write it, as in `APP` and `set APP K=V`. */
  readonly examples: readonly string[];
  readonly show: (app: string, flags: ReadFlags) => Promise<void>;
}

/** A command that shows something of an app, such as `dinp env APP`, to which those that change it are to be added. */
export function addAppGroup(program: Command, group: AppGroup): Command {
  const { name, summary, description, usage, examples, show } = group;
  const quoted = examples.map((example) => `"dinp ${name} ${example}"`);
  const hint = `Write ${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1) ?? ""}.`;
  return withRead(program.command(name))
    .summary(summary)
    .description(description)
    .usage(usage.join(" | "))
    .argument("[app]", "name of the app", parseAppName)
    .enablePositionalOptions()
    .action(async (app: string | undefined, flags: ReadFlags, command: Command) => {
      if (app === undefined) throw usageError("The name of an app is missing.", hint);
      await show(app, flagsOf(flags, command));
    });
}
