import { setTimeout as delay } from "node:timers/promises";
import { isDinpError, type DinpError } from "@dinp/core";
import { parseTable, type FileTable } from "./parse-table.js";
import type { FileText, TableFile } from "./table-file.js";

const SETTLE_ROUNDS_MAX = 10;
const SETTLE_STEP_MS = 10;
/** A file may change again without a new time stamp within this long: the clocks of file systems are coarse. */
const STAMP_COARSE_MS = 1_000;

/** Why the file is no table. */
export interface Problem {
  /** Of the text that cannot be used; null when there was none. */
  readonly hash: string | null;
  readonly error: DinpError;
}

/** What the file is now, compared with what was known of it. */
export type Reading =
  | { readonly kind: "served" | "same problem" }
  | { readonly kind: "table"; readonly table: FileTable; readonly hash: string }
  | { readonly kind: "problem"; readonly problem: Problem };

/** Reads a file that people edit: what cannot be used is given time to become something else. */
export class EditReader {
  readonly #file: TableFile;
  readonly #settleMs: number;
  /** Unsure: written so shortly before that it may have changed once more without another stamp. */
  #lookedAt: { readonly stamp: string | undefined; readonly isSure: boolean } = {
    stamp: undefined,
    isSure: false,
  };

  /** @param settleMs How long a file that cannot be used may go on changing. */
  constructor(file: TableFile, settleMs: number) {
    this.#file = file;
    this.#settleMs = settleMs;
  }

  /** Whether the file is surely as it was last read, by its stamp. */
  async isUnchanged(): Promise<boolean> {
    const { stamp, isSure } = this.#lookedAt;
    return isSure && (await this.#file.stamp())?.text === stamp;
  }

  /**
   * Reads the file, again while it cannot be used and goes on changing, and `mayWait` says so. `served`: the hash of the
   * text that is known to be good; `known`: the problem that is.
   */
  async read(served: string, known: Problem | null, mayWait: () => boolean): Promise<Reading> {
    for (let round = 0; ; round += 1) {
      const reading = await this.#readOnce(served);
      if (reading.kind !== "problem") return reading;
      if (isSame(known, reading.problem)) return { kind: "same problem" };
      // Editors that empty a file before they fill it, and those that move it away before they put the new one there.
      if (round === SETTLE_ROUNDS_MAX || !mayWait() || !(await this.#isSettling(mayWait))) return reading;
    }
  }

  async #readOnce(served: string): Promise<Reading> {
    let text: FileText | null = null;
    try {
      const stamp = await this.#file.stamp();
      const isSure = stamp === null || Date.now() - stamp.writtenAtMs > STAMP_COARSE_MS;
      this.#lookedAt = { stamp: stamp?.text, isSure };
      text = await this.#file.read();
      if (text.hash === served) return { kind: "served" };
      return { kind: "table", table: parseTable(text.text), hash: text.hash };
    } catch (error) {
      if (!isDinpError(error)) throw error;
      return { kind: "problem", problem: { hash: text?.hash ?? null, error } };
    }
  }

  /** True as soon as the file is another one than was last read; false when it stays the same for a while. */
  async #isSettling(mayWait: () => boolean): Promise<boolean> {
    const { stamp } = this.#lookedAt;
    for (let waitedMs = 0; waitedMs < this.#settleMs && mayWait(); waitedMs += SETTLE_STEP_MS) {
      await delay(SETTLE_STEP_MS, undefined, { ref: false });
      if ((await this.#file.stamp())?.text !== stamp) return true;
    }
    return false;
  }
}

/** By the text that cannot be used, else by the reason why there is none. */
function isSame(one: Problem | null, other: Problem): boolean {
  if (one === null || one.hash !== other.hash) return false;
  return one.hash !== null || one.error.message === other.error.message;
}
