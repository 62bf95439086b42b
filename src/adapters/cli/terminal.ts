import { once } from "node:events";
import { printable, truncate } from "./text.js";

/** What the CLI needs of a stream to write to; `process.stdout` is one. */
export type TerminalStream = NodeJS.WritableStream & {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
};

export type Environment = Readonly<Record<string, string | undefined>>;

export type Color = "red" | "green" | "yellow" | "blue" | "magenta" | "cyan" | "bold" | "dim";

const sgr: Readonly<Record<Color, readonly [number, number]>> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
  bold: [1, 22],
  dim: [2, 22],
};

/** Colors a text, where there are colors. */
export type Paint = (color: Color, text: string) => string;

/** One output stream: whether it is a terminal, whether it has colors, and how to write lines to it. */
export class Output {
  readonly #stream: TerminalStream;
  readonly isTty: boolean;
  readonly paint: Paint;
  #live = 0;

  /** `NO_COLOR` (any non-empty value, https://no-color.org) and `TERM=dumb` turn colors off; the latter also in-place updates. */
  constructor(stream: TerminalStream, env: Environment) {
    this.#stream = stream;
    this.isTty = stream.isTTY === true && env["TERM"] !== "dumb";
    const hasColors = this.isTty && (env["NO_COLOR"] ?? "") === "";
    this.paint = (color, text) =>
      hasColors && text !== ""
        ? `\u001B[${String(sgr[color][0])}m${text}\u001B[${String(sgr[color][1])}m`
        : text;
  }

  /** Columns of the terminal (80 when it does not say); undefined when it is none. */
  get columns(): number | undefined {
    if (!this.isTty) return undefined;
    const columns = this.#stream.columns ?? 80;
    return columns > 0 ? columns : 80;
  }

  /** Rows of the terminal; 24 when it does not say. */
  get rows(): number {
    const rows = this.#stream.rows ?? 24;
    return rows > 0 ? rows : 24;
  }

  /** Writes one line. The text must be printable but for colors of {@link paint}. A live region stays below it. */
  line(text = ""): void {
    this.clearLive();
    this.#stream.write(`${text}\n`);
  }

  /** Writes text as it is, without a line end. */
  raw(text: string): void {
    this.#stream.write(text);
  }

  /** Writes bytes as they are, no faster than they are read; returns early when the signal aborts. */
  async bytes(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    this.clearLive();
    this.#stream.write(bytes);
    await this.drained(signal);
  }

  /**
   * Replaces the live region (the lines at the bottom that change in place) by these lines, cut so that none wraps.
   * Only on a terminal; elsewhere it does nothing. Lines may be given as pairs of color and plain text.
   */
  live(lines: readonly { readonly color?: Color | undefined; readonly text: string }[]): void {
    const columns = this.columns;
    if (columns === undefined) return;
    const shown = lines.slice(0, Math.max(1, this.rows - 1)).map(({ color, text }) => {
      const cut = truncate(printable(text), columns - 1);
      return color === undefined ? cut : this.paint(color, cut);
    });
    this.#stream.write(this.#erase() + shown.map((text) => `${text}\n`).join(""));
    this.#live = shown.length;
  }

  /** Takes the live region away. */
  clearLive(): void {
    if (this.#live > 0) this.#stream.write(this.#erase());
    this.#live = 0;
  }

  #erase(): string {
    return this.#live > 0 ? `\u001B[${String(this.#live)}A\r\u001B[J` : "";
  }

  /** Resolves when the reader has caught up, or the signal aborts: call it in loops that write without end. */
  async drained(signal: AbortSignal): Promise<void> {
    if (!this.#stream.writable || !("writableNeedDrain" in this.#stream)) return;
    if (this.#stream.writableNeedDrain !== true || signal.aborted) return;
    try {
      await once(this.#stream, "drain", { signal });
    } catch {
      // Aborted, or the stream failed: the caller sees the first by its signal, the second ends the run.
    }
  }
}
