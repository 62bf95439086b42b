const LINE_CHARACTERS_MAX = 2_000;
const LAST_LINES = 20;

/** What a step writes to standard error, as lines of bounded length. */
export class StepLog {
  readonly #tell: (line: string) => void;
  readonly #decoder = new TextDecoder();
  readonly #last: string[] = [];
  #bytes = 0;
  #line = "";

  constructor(tell: (line: string) => void) {
    this.#tell = tell;
  }

  /** All bytes so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether one of the last lines says this. */
  says(pattern: RegExp): boolean {
    return this.#last.some((line) => pattern.test(line));
  }

  push(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    const [first = "", ...rest] = this.#decoder.decode(bytes, { stream: true }).split("\n");
    this.#append(first);
    for (const text of rest) {
      this.#endLine();
      this.#append(text);
    }
  }

  /** Tells what there is of a last line. */
  end(): void {
    if (this.#line !== "") this.#endLine();
  }

  #append(text: string): void {
    this.#line += text.slice(0, LINE_CHARACTERS_MAX - this.#line.length);
  }

  #endLine(): void {
    const line = this.#line.replace(/\r$/, "");
    this.#line = "";
    this.#tell(line);
    this.#last.push(line);
    if (this.#last.length > LAST_LINES) this.#last.shift();
  }
}
