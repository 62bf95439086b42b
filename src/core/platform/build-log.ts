import { limits } from "../model/defaults.js";
import type { BuildLogRecord } from "../model/records.js";
import { printable } from "./text.js";

const TAIL_LINES = 50;

/**
 * The lines of one build as they are said, bounded: of more than `limits.buildLogLinesMax` lines the first ones and the last
 * 50 are kept, and of a line `limits.buildLogLineMax` characters.
 */
export class BuildLog {
  readonly #head: string[] = [];
  readonly #tail: string[] = [];
  #dropped = 0;

  add(line: string): void {
    const kept = line.slice(0, limits.buildLogLineMax);
    if (this.#head.length < limits.buildLogLinesMax - TAIL_LINES) {
      this.#head.push(kept);
      return;
    }
    this.#tail.push(kept);
    if (this.#tail.length <= TAIL_LINES) return;
    this.#tail.shift();
    this.#dropped += 1;
  }

  record(buildId: string): BuildLogRecord {
    return { buildId, head: [...this.#head], dropped: this.#dropped, tail: [...this.#tail] };
  }
}

/** The lines for people: harmless on a terminal, with one that says how many are missing. */
export function shownLines({ head, dropped, tail }: BuildLogRecord): string[] {
  const gap = dropped === 0 ? [] : [`… ${String(dropped)} lines left out …`];
  return [...head, ...gap, ...tail].map((line) => printable(line, limits.buildLogLineMax));
}
