import { isDinpError, messageOf, type Logger } from "@dinp/core";
import { createPrometheusMetrics, type PrometheusMetrics } from "@dinp/core/prometheus";
import { createPinoLogger } from "@dinp/core/system";
import { helpOf } from "../config/describe-config.js";
import {
  ConfigError,
  loadConfig,
  namedOf,
  readCommonFlags,
  type LoadedConfig,
} from "../config/load-config.js";
import { allSettings } from "../config/all-settings.js";
import { logSection, observeSection } from "../config/sections.js";
import { shownValue, type Settings, type ValuesOf } from "../config/setting.js";
import { Interrupt } from "./interrupt.js";
import { Observer } from "./observer.js";
import { Undo } from "./undo.js";

/** What a program is given besides its configuration. */
export interface ProgramContext {
  readonly version: string;
  readonly logger: Logger;
  readonly metrics: PrometheusMetrics;
  readonly observer: Observer;
  readonly interrupt: Interrupt;
  /** What ends what was begun, in reverse order; run after the program's own end, however that comes. */
  readonly undo: Undo;
  /** A line for people on standard output. */
  readonly say: (line: string) => void;
}

/** A program of the platform: its settings, and what it does with them. */
export interface Program<S extends Settings> {
  readonly name: string;
  /** The section of its own settings, whose flags have no prefix. */
  readonly ownSection: string;
  readonly settings: S;
  /** For `--help`: what it is for, in a few lines. */
  readonly about: string;
  /** What `--check-config` looks at besides the values themselves; gives lines for people, or throws. */
  readonly check?: (config: ValuesOf<S>) => Promise<readonly string[]>;
  /** Works until a signal comes; rejects with what ended it unasked. */
  readonly run: (config: ValuesOf<S>, context: ProgramContext) => Promise<void>;
}

const common = { log: logSection, observe: observeSection } as const satisfies Settings;

type Sources = Pick<NodeJS.Process, "argv" | "env">;

/** Runs a program and gives its exit code: 0 it was stopped by a signal, 1 it failed, 2 it was called or configured wrongly. */
export async function runProgram<S extends Settings>(
  program: Program<S>,
  version: string,
  { argv, env }: Sources,
): Promise<number> {
  const settings = { ...program.settings, ...common };
  const { ownSection } = program;
  const sources = { args: argv.slice(2), env, ownSection, known: allSettings };
  try {
    const flags = readCommonFlags(settings, sources);
    if (flags.version) return say(version);
    if (flags.help)
      return say(
        `Usage: ${program.name} [--config FILE] [settings]\n\n${program.about}\n\n${helpOf(settings, ownSection)}`,
      );
    const config = await loadConfig(settings, sources);
    if (flags.check) {
      const found = (await program.check?.(config.values)) ?? [];
      return say([...originsOf(settings, config), ...found].join("\n"));
    }
    return await run(program, config.values, version);
  } catch (error) {
    complain(program.name, error);
    return error instanceof ConfigError ? 2 : 1;
  }
}

async function run<S extends Settings>(
  program: Program<S>,
  config: ValuesOf<S> & ValuesOf<typeof common>,
  version: string,
): Promise<number> {
  const { level, format } = config.log;
  const pretty = format === "text" || (format === "auto" && process.stderr.isTTY);
  const logger = createPinoLogger({ level, pretty });
  const metrics = createPrometheusMetrics({ ownProcess: true });
  const observer = new Observer(metrics);
  const interrupt = new Interrupt();
  const undo = new Undo();
  try {
    if (config.observe.listen !== null) {
      undo.push(() => observer.close());
      const { host, port } = await observer.start(config.observe.listen);
      logger.info("answering /healthz, /readyz and /metrics", { host, port });
    }
    await program.run(config, {
      version,
      logger,
      metrics,
      observer,
      interrupt,
      undo,
      say: (line) => void say(line),
    });
    return 0;
  } catch (error) {
    // It was told to end while it still began.
    if (interrupt.signal.aborted && isDinpError(error, "DINP_ABORTED")) return 0;
    throw error;
  } finally {
    observer.end();
    await undo.run(logger);
    interrupt.dispose();
  }
}

/** A line for each value: what it is and where it came from. */
function originsOf<S extends Settings>(
  settings: S,
  { values, origins, secrets }: LoadedConfig<S>,
): readonly string[] {
  return namedOf(settings).map(({ at, key, setting }) => {
    const value = values[at.section]?.[at.name];
    const shown = value === null ? "not set" : secrets.has(key) ? "(secret)" : shownValue(setting, value);
    return `${key} = ${shown}   (${origins.get(key) ?? "default"})`;
  });
}

function say(text: string): 0 {
  process.stdout.write(`${text}\n`);
  return 0;
}

function complain(name: string, error: unknown): void {
  const lines =
    error instanceof ConfigError
      ? [
          ...error.problems.map((problem) => `error: ${problem}`),
          `hint: "${name} --help" lists the settings.`,
        ]
      : [`error: ${messageOf(error)}`];
  if (isDinpError(error) && error.hint !== undefined) lines.push(`hint: ${error.hint}`);
  process.stderr.write(`${lines.map(printable).join("\n")}\n`);
}

/** Names of files and values of other people's files are in it. */
function printable(line: string): string {
  return line.replace(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1));
}
