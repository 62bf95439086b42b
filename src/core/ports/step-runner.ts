import type { ImageRef } from "../model/records.js";
import type { ByteStream } from "./registry.js";

/** A program that a build has to run. */
export interface BuildStep {
  /** In the platform's registry: the program's files and libraries. */
  readonly image: ImageRef;
  /** The program and its arguments, taken as they are: no shell is between. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The program's standard input, read once. */
  readonly input: ByteStream;
}

/** Runs programs of uploads apart from everything else: from other apps, the platform, the machine, and each other. */
export interface StepRunner {
  /**
   * Runs the step and gives its standard output as it comes; the stream ends when the program has ended well. What it writes to
   * standard error goes to `log`, a line each, as it is. Nothing is begun before the first read. Whenever the stream has ended,
   * failed or was left, nothing of the step is left: no process, file or container.
   *
   * Bounded in time, memory, processors, processes, disk, network, and what it may write to either output. `DINP_INVALID` when it
   * ends with a code (`details.exitCode`) or its program is not in the image; `DINP_TOO_LARGE` beyond memory or output,
   * `DINP_TIMEOUT`, `DINP_ABORTED`, `DINP_UNAVAILABLE`, and the registry's.
   */
  run(
    step: BuildStep,
    options: { readonly log: (line: string) => void; readonly signal?: AbortSignal },
  ): ByteStream;
}
