import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { hostBaseNames } from "@dinp/core/host-base";
import { helpOf as settingsOf } from "../../src/bin/config/describe-config.js";
import { readCommonFlags } from "../../src/bin/config/load-config.js";
import { programs } from "../../src/bin/programs.js";
import { runCli, type CliRun } from "../cli/run-cli.js";
import { placeOf, projectRoot, type CodeBlock, type CodeSpan } from "./markdown.js";

/** Programs that commands of the documentation may use besides the project's own. */
const PROGRAMS: ReadonlySet<string> = new Set(
  "cd chmod chown cp curl docker echo export git kill ls mkdir npm openssl rm systemctl tar tee umask useradd".split(
    " ",
  ),
);

/** The commands of a `sh` block, each as its words. Comments, pipes, files that are read and written, `&&` and variables before a command are known. */
export function commandsOf(
  text: string,
): readonly { readonly line: number; readonly words: readonly string[] }[] {
  const joined = text.replaceAll(/\\\n/g, "  ");
  return joined.split("\n").flatMap((line, index) =>
    line
      .replace(/(^|\s)#.*$/, "")
      .replaceAll(/\s[<>]\s*\S+/g, "")
      .split(/&&|\|\||[;|&]/)
      .map((part) => wordsOf(part))
      .map((words) => words.slice(words.findIndex((word) => !/^[A-Z_]+=/.test(word))))
      .filter((words) => words.length > 0)
      .map((words) => ({ line: index, words })),
  );
}

function wordsOf(text: string): readonly string[] {
  const words = [...text.matchAll(/(?:"([^"]*)"|'([^']*)'|((?:[^\s"'])+))/g)];
  return words.map(([, double, single, plain]) => double ?? single ?? plain ?? "");
}

/** What is wrong with the commands of these blocks, as the programs themselves say. */
export async function commandErrors(blocks: readonly CodeBlock[]): Promise<readonly string[]> {
  const commands = blocks.flatMap(({ page, line, text }) =>
    commandsOf(text).map((command) => ({ page, line: line + command.line, words: command.words })),
  );
  const errors = await Promise.all(
    commands.map(async (command) => {
      const { words } = command;
      const why = await whyWrong(words[0] === "npx" ? words.slice(1) : words);
      return why === null ? [] : [`${placeOf(command)} ${words.join(" ")}: ${why}`];
    }),
  );
  return errors.flat();
}

async function whyWrong([program = "", ...args]: readonly string[]): Promise<string | null> {
  switch (program) {
    case "dinp":
      return whyCliRefuses(args);
    case "npm":
      return whyNpmRefuses(args);
    case "node":
    case ".ci/run":
    case "examples/cluster/run":
      return whyNoFile(program === "node" ? (args[0] ?? "") : program);
    default:
      if (Object.hasOwn(programs, program)) return whyProgramRefuses(program, args);
      return PROGRAMS.has(program)
        ? null
        : "an unknown program: is it a slip, or is it missing in the test's list?";
  }
}

/** Runs the command without a platform: what it is to push is there, and no API answers. */
async function whyCliRefuses(args: readonly string[]): Promise<string | null> {
  const cwd = mkdtempSync(join(tmpdir(), "dinp-docs-"));
  try {
    if (args[0] === "push") makePushed(cwd, args[1] ?? ".");
    const from = args.includes("--from") ? (args[args.indexOf("--from") + 1] ?? "") : "";
    if (args[0] === "bases" && from.endsWith(".tar")) writeFileSync(join(cwd, from), "a tar");
    const options = {
      makeBase: { names: hostBaseNames, make: () => Promise.reject(new Error("not without an API")) },
      addSecretKey: () => Promise.reject(new Error("not without an API")),
      up: () => Promise.resolve(0),
      fetch: () => Promise.reject(new TypeError("no network")),
    };
    const env = { NO_COLOR: "1" };
    const run = await runCli(args, { cwd, input: "token\n", tty: true, env, options });
    return run.code === 2 ? run.err : null;
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

function makePushed(cwd: string, path: string): void {
  const whole = resolve(cwd, path);
  if (!whole.startsWith(cwd)) return;
  mkdirSync(whole, { recursive: true });
  writeFileSync(join(whole, "index.html"), "<h1>here</h1>");
}

function whyProgramRefuses(name: string, args: readonly string[]): string | null {
  const program = programs[name];
  if (program === undefined) return "there is no such program";
  const { settings, ownSection } = program;
  try {
    readCommonFlags(settings, { args, env: {}, ownSection, known: settings });
    return null;
  } catch (error) {
    return String(error);
  }
}

function whyNpmRefuses([command = "", name = ""]: readonly string[]): string | null {
  const { scripts } = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const script = command === "run" ? name : command;
  if (script in scripts || ["install", "ci", "pack"].includes(script)) return null;
  return `there is no script ${script}`;
}

function whyNoFile(path: string): string | null {
  return existsSync(join(projectRoot, path)) ? null : `there is no ${path}`;
}

/**
 * What is wrong with what the text calls commands: `dinp push --app NAME`, whose arguments may be placeholders, and
 * `dinp start|stop APP`, which is two.
 */
export async function spanErrors(spans: readonly CodeSpan[]): Promise<readonly string[]> {
  const errors = await Promise.all(
    spans.map(async (span) => {
      const [program, first = "", ...rest] = span.text.replace(/^npx /, "").split(/[\s,]+/);
      if (program === undefined || (program !== "dinp" && !Object.hasOwn(programs, program))) return [];
      const whys = first.split("|").map((command) => whySpanWrong(program, [command, ...rest]));
      return (await Promise.all(whys)).flat().map((why) => `${placeOf(span)} ${span.text}: ${why}`);
    }),
  );
  return errors.flat();
}

async function whySpanWrong(program: string, words: readonly string[]): Promise<readonly string[]> {
  const own = programs[program];
  const help =
    own === undefined ? await helpOf(words) : { code: 0, out: settingsOf(own.settings, own.ownSection) };
  if (help.code !== 0) return ["there is no such command"];
  const flags = words.filter((word) => /^-{1,2}[a-z]/i.test(word));
  const unknown = flags.filter((flag) => !new RegExp(`(^|[\\s,])${flag}\\b`, "m").test(help.out));
  return unknown.map((flag) => `there is no ${flag}`);
}

/** The help of `dinp`, of the command that the first words name, and of the command within that one. */
async function helpOf(words: readonly string[]): Promise<Pick<CliRun, "code" | "out">> {
  const options = { up: () => Promise.resolve(0) };
  const { out: all } = await runCli(["--help"], { options });
  const [name = "", inner = ""] = words;
  if (!/^[a-z]/.test(name)) return { code: 0, out: all };
  // Help is also given of what is not there: of the program.
  if (!new RegExp(`^  ${name}\\b`, "m").test(all)) return { code: 2, out: all };
  const paths = /^[a-z]/.test(inner) ? [[name], [name, inner]] : [[name]];
  const helps = await Promise.all(paths.map((path) => runCli([...path, "--help"], { options })));
  return { code: 0, out: [all, ...helps.map(({ out }) => out)].join("\n") };
}
