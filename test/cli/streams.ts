import { PassThrough } from "node:stream";

const ESCAPE = String.fromCharCode(27);
const controls = new RegExp(`(${ESCAPE}\\[\\d*[A-Za-z]|\\n|\\r)`);
const sequence = new RegExp(`^${ESCAPE}\\[(\\d*)([A-Za-z])$`);

/** A stream that keeps what is written to it, and says of itself what it is told to. */
export class Capture extends PassThrough {
  readonly isTTY: boolean;
  readonly columns: number;
  readonly rows: number;
  #text = "";

  constructor(options: { readonly tty?: boolean; readonly columns?: number; readonly rows?: number } = {}) {
    super();
    this.isTTY = options.tty ?? false;
    this.columns = options.columns ?? 80;
    this.rows = options.rows ?? 24;
    this.on("data", (chunk: Buffer) => {
      this.#text += chunk.toString();
    });
  }

  /** All that was written. */
  get text(): string {
    return this.#text;
  }

  /** What a terminal shows after all that was written: lines with cursor-up and erase-below carried out, colors dropped. */
  get screen(): string[] {
    const lines: string[] = [""];
    let row = 0;
    for (const part of this.#text.split(controls)) {
      const move = sequence.exec(part);
      if (part === "\n") {
        row += 1;
        lines[row] ??= "";
      } else if (move?.[2] === "A") row -= Number(move[1]);
      else if (move?.[2] === "J") lines.splice(row, lines.length, "");
      else if (move === null && part !== "\r" && part !== "") {
        if (part.length > this.columns) throw new Error(`a line wraps: ${part}`);
        lines[row] = (lines[row] ?? "") + part;
      }
    }
    return lines;
  }
}
