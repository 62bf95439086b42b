import type { RouteTableVersion } from "@dinp/core";
import { stepOf, type Step } from "./step.js";

/** Kept for watches that have not come so far yet; one that falls further behind asks. */
const STEPS_MAX = 64;

interface PushedStep extends Step {
  /** The epoch of the version before it. */
  readonly epochBefore: number;
}

/**
 * The newest changes that came with Redis's messages, one version after the other. They are a shorter way and nothing more: a
 * watch takes a step only when it leads on from the very version that it is at, and otherwise asks.
 */
export class PushedSteps {
  readonly #pattern: string;
  #steps: readonly PushedStep[] = [];

  /** `pattern`: the table's keys, for people. */
  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  /** False when the message does not say what has changed. Its form: see `applyScript`. */
  take(message: string): boolean {
    const step = this.#parse(message);
    if (step === null) return false;
    const last = this.#steps.at(-1);
    const goesOn = last !== undefined && isNext(step, last.version);
    this.#steps = [...(goesOn ? this.#steps.slice(1 - STEPS_MAX) : []), step];
    return true;
  }

  /** The steps that lead on from the version. */
  after(version: RouteTableVersion): readonly Step[] {
    const first = this.#steps.findIndex((step) => isNext(step, version));
    return first === -1 ? [] : this.#steps.slice(first);
  }

  /** Whether nothing newer than that version has come. */
  isAt({ incarnation, epoch, revision }: RouteTableVersion): boolean {
    const last = this.#steps.at(-1)?.version;
    return last?.incarnation === incarnation && last.epoch === epoch && last.revision === revision;
  }

  /** Another server may tell from now on, with another past. */
  clear(): void {
    this.#steps = [];
  }

  /** What cannot be read is asked for, and then found to be what it is. */
  #parse(message: string): PushedStep | null {
    const [, revision, incarnation = "", entry] = /^(\d{1,16}) (\S+) ([^]*)$/.exec(message) ?? [];
    try {
      return entry === undefined
        ? null
        : stepOf(entry, { incarnation, revision: Number(revision) }, this.#pattern);
    } catch {
      return null;
    }
  }
}

function isNext(step: PushedStep, { incarnation, epoch, revision }: RouteTableVersion): boolean {
  const { version, epochBefore } = step;
  return version.incarnation === incarnation && version.revision === revision + 1 && epochBefore === epoch;
}
