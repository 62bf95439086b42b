import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { packDirectory } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";
import { createCli, type CliOptions } from "../../src/adapters/cli/index.js";
import { Capture } from "./streams.js";

/** How a run of the CLI went. */
export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly stdout: Capture;
  readonly stderr: Capture;
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  readonly tty?: boolean;
  /** What is typed or piped into standard input, which then ends. */
  readonly input?: string;
  readonly cwd?: string;
  readonly options?: Partial<CliOptions>;
  /** Where interrupts come from. */
  readonly signals?: EventEmitter;
  /** Gets the streams before the run starts. */
  readonly watch?: (streams: { readonly stdout: Capture; readonly stderr: Capture }) => void;
}

/** Standard input for a test: a terminal or a pipe. */
function input(
  text: string,
  tty: boolean,
): PassThrough & { isTTY: boolean; setRawMode(isRaw: boolean): void } {
  const stream = Object.assign(new PassThrough(), { isTTY: tty, setRawMode: () => undefined });
  stream.end(text);
  return stream;
}

/** Runs `dinp` in this process, on streams of its own and without the user's environment. */
export async function runCli(argv: readonly string[], options: RunOptions = {}): Promise<CliRun> {
  const tty = options.tty ?? false;
  const stdout = new Capture({ tty, columns: 100 });
  const stderr = new Capture({ tty, columns: 100 });
  options.watch?.({ stdout, stderr });
  const cli = createCli({
    packDirectory,
    parseYaml,
    stdin: input(options.input ?? "", tty),
    stdout,
    stderr,
    env: { HOME: "/nonexistent", ...options.env },
    version: "9.8.7",
    signals: options.signals ?? new EventEmitter(),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...options.options,
  });
  const code = await cli.run(argv);
  return { code, out: stdout.text, err: stderr.text, stdout, stderr };
}
