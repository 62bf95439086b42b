/** The lines that an instance's processes wrote. */
export class InstanceLog {
  readonly #lines: string[] = [];
  #unfinished = "";
  #news = new AbortController();

  readonly write = (_stream: string, bytes: Uint8Array): Promise<void> => {
    const lines = (this.#unfinished + new TextDecoder().decode(bytes)).split("\n");
    this.#unfinished = lines.pop() ?? "";
    this.#lines.push(...lines);
    this.#tell();
    return Promise.resolve();
  };

  tail(lines: number): readonly string[] {
    return lines === 0 ? [] : this.#lines.slice(-lines);
  }

  /** The last lines, then with `follow` new ones, until the signal aborts. */
  async *lines(tail: number, follow: boolean, signal: AbortSignal): AsyncGenerator<string, void> {
    let next = Math.max(0, this.#lines.length - tail);
    for (;;) {
      while (next < this.#lines.length && !signal.aborted) {
        const line = this.#lines[next];
        next += 1;
        if (line !== undefined) yield line;
      }
      if (!follow || signal.aborted) return;
      await aborted(AbortSignal.any([signal, this.#news.signal]));
    }
  }

  #tell(): void {
    this.#news.abort();
    this.#news = new AbortController();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else
      signal.addEventListener("abort", () => {
        resolve();
      });
  });
}
