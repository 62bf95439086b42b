import type { Command, Option } from "commander";
import { Argument } from "commander";
import { resolveApi } from "../credentials.js";
import type { Context } from "../context.js";
import type { Registration } from "./shared-options.js";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

/** How long a shell waits for names of apps. */
const NAMES_MS = 2_000;
const NAMES_MAX = 500;

const notes = `
Put this into the shell's start-up file:
  bash   source <(dinp completion bash)
  zsh    source <(dinp completion zsh)
  fish   dinp completion fish | source`;

/** `dinp completion`, and the hidden command that its scripts ask. */
export function registerCompletion({ program, context }: Registration): void {
  program
    .command("completion")
    .summary("print a script that completes commands in a shell")
    .description("Prints a script that completes commands, options and names of apps in a shell.")
    .addArgument(new Argument("<shell>", "the shell").choices(SHELLS))
    .addHelpText("after", notes)
    .action((shell: Shell) => {
      context.out.raw(scripts[shell]);
    });
  program
    .command("complete-words", { hidden: true })
    .argument("[words...]")
    .allowUnknownOption()
    .action(async (words: readonly string[]) => {
      for (const word of await candidates(context, program, words)) context.out.line(word);
    });
}

/** What may stand for the last of the words (after `dinp`), of which all others are complete. */
async function candidates(context: Context, program: Command, words: readonly string[]): Promise<string[]> {
  const last = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  if (before.includes("--")) return [];
  const { command, values } = commandOf(program, before);
  const option = optionNamed(command, before.at(-1) ?? "");
  let found: readonly string[];
  if (option !== undefined && takesValue(option)) found = option.argChoices ?? [];
  else if (last.startsWith("-")) found = optionsOf(command).flatMap(({ long }) => long ?? []);
  else found = await valuesFor(context, command, values);
  return [...new Set(found)].filter((word) => word.startsWith(last)).sort();
}

async function valuesFor(context: Context, command: Command, values: number): Promise<readonly string[]> {
  const inner = values > 0 ? [] : command.commands.map((each) => each.name());
  const argument = command.registeredArguments[values];
  const names =
    argument !== undefined && /^app\b/.test(argument.name())
      ? await appNames(context)
      : (argument?.argChoices ?? []);
  return [...inner.filter((name) => name !== "complete-words"), ...names];
}

/** The command that the words name, and how many of its arguments are there already. */
function commandOf(program: Command, words: readonly string[]): { command: Command; values: number } {
  let command = program;
  let values = 0;
  for (const [index, word] of words.entries()) {
    const option = optionNamed(command, words[index - 1] ?? "");
    if (word.startsWith("-") || (option !== undefined && takesValue(option))) continue;
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (next === undefined || values > 0) values += 1;
    else command = next;
  }
  return { command, values };
}

function optionsOf(command: Command): readonly Option[] {
  const own = command.options.filter((option) => !option.hidden);
  return command.parent === null ? own : [...own, ...optionsOf(command.parent)];
}

function optionNamed(command: Command, word: string): Option | undefined {
  if (!word.startsWith("-")) return undefined;
  return optionsOf(command).find((option) => option.long === word || option.short === word);
}

function takesValue(option: Option): boolean {
  return option.required || option.optional;
}

/** Quickly and silently: a shell's prompt is no place for errors. */
async function appNames(context: Context): Promise<readonly string[]> {
  try {
    const { url, token } = await resolveApi({}, context.options.env);
    if (token === null) return [];
    const client = context.createClient({ url, token, timeoutMs: NAMES_MS });
    const signal = AbortSignal.timeout(NAMES_MS);
    const { items } = await client.pageApps({ limit: NAMES_MAX }, { signal });
    return items.map(({ name }) => name);
  } catch {
    return [];
  }
}

const scripts: Readonly<Record<Shell, string>> = {
  bash: `_dinp() {
  local IFS=$'\\n'
  COMPREPLY=($(dinp complete-words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _dinp dinp
`,
  zsh: `_dinp() {
  local -a found
  found=(\${(f)"$(dinp complete-words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"})
  if (( \${#found} )); then compadd -- "\${found[@]}"; else _files; fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _dinp dinp
`,
  fish: `function __dinp_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l found (dinp complete-words -- $words[2..-1] 2>/dev/null)
  if set -q found[1]
    printf '%s\\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c dinp -f -a '(__dinp_complete)'
`,
};
