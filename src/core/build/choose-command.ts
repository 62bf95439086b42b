import { DinpError } from "../model/errors.js";
import type { AppManifest } from "../model/records.js";
import { commandFrom, recognizedBy } from "./describe-template.js";
import { filesLike } from "./file-pattern.js";
import { execLine, programOf, shellCommand } from "./shell-command.js";
import {
  fallbackTemplate,
  filePlaceholder,
  knownPrograms,
  type CommandSource,
  type Template,
} from "./templates.js";

/** What is known of an app's files once all of them have passed. */
export interface AppFiles {
  /** Names at the root, of files and folders. */
  readonly rootNames: ReadonlySet<string>;
  /** The text of `Procfile`, null without one. */
  readonly procfile: string | null;
  /** The text of `package.json`, null without one. */
  readonly packageJson: string | null;
  /** Whether `control` at the root is a file with an executable bit. */
  readonly controlIsExecutable: boolean;
  /** Whether a path (relative to the root) is a file. */
  readonly hasFile: (path: string) => boolean;
}

export interface ChosenCommand {
  readonly command: readonly string[];
  /** Where it was found, for people. */
  readonly source: string;
}

/**
 * How an app starts: the command that was asked for, else `command` in its `dinp.yaml`, else `web:` in its `Procfile`,
 * else its executable `control` (`./control start $PORT`), else its template's.
 * `DINP_NO_COMMAND` says what was looked for (of all `templates` when none of them recognizes the app); `DINP_INVALID`
 * when `package.json` is not JSON.
 */
export function chooseCommand(
  files: AppFiles,
  template: Template,
  manifest: AppManifest | null,
  options: {
    readonly wanted?: string | readonly string[] | undefined;
    readonly templates?: readonly Template[];
  } = {},
): ChosenCommand {
  const { wanted, templates = [template] } = options;
  if (wanted !== undefined) return { command: argumentsOf(wanted), source: "the push" };
  if (manifest?.command !== undefined) return { command: argumentsOf(manifest.command), source: "dinp.yaml" };
  const web = files.procfile === null ? null : webProcess(files.procfile);
  if (web !== null) return { command: shellCommand(web), source: "Procfile" };
  if (files.controlIsExecutable) {
    return { command: shellCommand('./control start "$PORT"'), source: "control" };
  }
  const command = templateCommand(files, template);
  if (command !== null) return { command, source: `the template ${template.name}` };
  throw noCommand(files, template, templates);
}

/** Programs that a node must have to run `command` of an app of this template. */
export function requiredPrograms(
  template: Pick<Template, "requires">,
  command: readonly string[],
): readonly string[] {
  const program = programOf(command);
  const own = program !== null && knownPrograms.includes(program) ? [program] : [];
  return [...new Set([...template.requires, ...own])].sort();
}

/** A shell line as its argument vector; an argument vector as it is. */
export function argumentsOf(command: string | readonly string[]): readonly string[] {
  return typeof command === "string" ? shellCommand(command) : command;
}

/** The line of the process type `web` in a Procfile, or null when there is none. */
export function webProcess(procfile: string): string | null {
  for (const line of procfile.replace(/^\uFEFF/, "").split(/\r?\n/)) {
    const command = /^web\s*:\s*(\S.*)$/.exec(line)?.[1];
    if (command !== undefined) return command.trim();
  }
  return null;
}

function templateCommand(files: AppFiles, template: Template): readonly string[] | null {
  for (const source of template.command) {
    const command = commandOf(files, source);
    if (command !== null) return command;
  }
  return null;
}

function commandOf(files: AppFiles, source: CommandSource): readonly string[] | null {
  switch (source.from) {
    case "package-json":
      return packageCommand(files, source.field);
    case "files": {
      const file = source.files
        .map((pattern) => filesLike(pattern, files))
        .find(({ length }) => length === 1)?.[0];
      return file === undefined
        ? null
        : source.run.map((word) => (word === filePlaceholder ? safeWord(file) : word));
    }
    case "template":
      return source.run;
  }
}

function packageCommand(files: AppFiles, field: "start" | "main"): readonly string[] | null {
  const { start, main } = packageFields(files.packageJson);
  if (field === "main") return main === null || !isMainFile(files, main) ? null : ["node", safeWord(main)];
  if (start === null) return null;
  return ["/bin/sh", "-c", `PATH="$PWD/node_modules/.bin:$PATH"; export PATH; ${execLine(start)}`];
}

/** A file whose name looks like an option, as a program takes it for a file. */
function safeWord(file: string): string {
  return file.startsWith("-") ? `./${file}` : file;
}

/** Node's own resolution of a main field, as far as names go. */
function isMainFile(files: AppFiles, main: string): boolean {
  const path = main.replace(/^(?:\.\/)+/, "").replace(/\/+$/, "");
  return ["", ".js", "/index.js"].some((suffix) => files.hasFile(path + suffix));
}

function packageFields(text: string | null): { readonly start: string | null; readonly main: string | null } {
  if (text === null) return { start: null, main: null };
  const json = parseObject(text);
  const { scripts, main } = json;
  const start = isObject(scripts) && Object.hasOwn(scripts, "start") ? scripts["start"] : null;
  return { start: textOrNull(start), main: Object.hasOwn(json, "main") ? textOrNull(main) : null };
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (cause) {
    throw new DinpError("DINP_INVALID", "package.json is not JSON.", {
      cause,
      hint: "Mend it and push again.",
    });
  }
  return isObject(value) ? value : {};
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" && value.trim() !== "" && !value.includes("\0") ? value.trim() : null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function noCommand(files: AppFiles, template: Template, templates: readonly Template[]): DinpError {
  const looked = ["command in dinp.yaml", "web: in Procfile", "an executable file control"];
  const byTemplate =
    template.name === fallbackTemplate
      ? templates.flatMap((one) => {
          const text = recognizedBy(one);
          return text === null ? [] : [`${text} (${one.name})`];
        })
      : [commandFrom(template) ?? `nothing: the template ${template.name} has no command of its own`];
  const doubtful = template.command
    .flatMap((source) => (source.from === "files" ? source.files : []))
    .map((pattern) => ({ pattern, fitting: filesLike(pattern, files) }))
    .find(({ fitting }) => fitting.length > 1);
  const [only, ...others] = files.rootNames;
  const hint =
    only !== undefined && others.length === 0 && !only.includes(".")
      ? `Everything is inside the folder ${JSON.stringify(only.slice(0, 80))}: push what is in it (tar -czf app.tar.gz -C ${shellWord(only)} .).`
      : 'Add a dinp.yaml with "command: …" (the app must listen on $PORT), or push with --command.';
  return new DinpError(
    "DINP_NO_COMMAND",
    `Nothing says how to start this app. Looked at its root for: ${[...looked, ...byTemplate].join("; ")}.${doubtful === undefined ? "" : ` There is more than one ${doubtful.pattern}: ${doubtful.fitting.slice(0, 5).join(", ")}.`}`,
    { hint, details: { template: template.name, rootNames: [...files.rootNames].sort().slice(0, 50) } },
  );
}

function shellWord(text: string): string {
  return /^[A-Za-z0-9_][A-Za-z0-9_./-]*$/.test(text) ? text : "FOLDER";
}
