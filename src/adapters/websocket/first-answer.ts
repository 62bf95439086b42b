import { setTimeout as delay } from "node:timers/promises";
import { DinpError } from "@dinp/core";

export interface AskingOptions<T> {
  /** Who is asked, in that order. */
  readonly of: readonly URL[];
  /** Asks one: gives its answer, or the URL of another one that is to be asked. Is to reject when the signal aborts. */
  readonly ask: (url: URL, signal: AbortSignal) => Promise<T | URL>;
  /** Lets go of an answer that came too late to be taken. */
  readonly discard: (answer: T) => void;
  /** How long one is waited for before the next is asked as well, and between two tries of one that refused. */
  readonly headStartMs: number;
  readonly signal: AbortSignal;
}

/** What all have said that were asked, in the order in which they were. */
export class AllRefused extends Error {
  override readonly name = "AllRefused";

  constructor(readonly errors: readonly unknown[]) {
    super("All have refused.");
  }
}

/** How many may be asked that are only known from others. */
const OTHERS_MAX = 3;

/**
 * The first good answer, and whose it is. The next one is asked when the one before has refused, or has said nothing for
 * its head start. While one says nothing, those that have refused are asked again: they may wait for what has become of it.
 * Nobody is asked twice at a time. {@link AllRefused} with what each said last, also when the signal aborts.
 */
export function firstAnswer<T>(options: AskingOptions<T>): Promise<Answer<T>> {
  return new Asking(options).run();
}

interface Answer<T> {
  readonly answer: T;
  readonly from: URL;
}

class Asking<T> {
  readonly #options: AskingOptions<T>;
  readonly #over = new AbortController();
  /** Aborts when there is an answer, or nobody wants one any more. */
  readonly #ending: AbortSignal;
  /** By who was asked: resolves when it has said something, or whom it named has. */
  readonly #heard = new Map<string, Promise<void>>();
  readonly #asking: Promise<void>[] = [];
  /** Those that have said nothing yet. */
  readonly #silent = new Set<string>();
  readonly #errors = new Map<string, unknown>();
  #taken: Answer<T> | null = null;

  constructor(options: AskingOptions<T>) {
    this.#options = options;
    this.#ending = AbortSignal.any([options.signal, this.#over.signal]);
  }

  async run(): Promise<Answer<T>> {
    const { of, headStartMs } = this.#options;
    for (const url of of) {
      if (this.#ending.aborted) break;
      await within(this.#begin(url), headStartMs, this.#ending);
    }
    // More may be asked meanwhile.
    for (let index = 0; index < this.#asking.length && !this.#ending.aborted; index += 1)
      await within(this.#asking[index], Infinity, this.#ending);
    if (this.#taken === null) throw new AllRefused([...this.#errors.values()]);
    return this.#taken;
  }

  /** Asks it, unless it was asked before. */
  #begin(url: URL): Promise<void> {
    const known = this.#heard.get(url.href);
    if (known !== undefined) return known;
    this.#silent.add(url.href);
    const first = this.#ask(url).then((other) => {
      this.#silent.delete(url.href);
      // Wrapped, so that what it has named is not waited for here.
      return other === null || this.#heard.has(other.href) ? null : { other: this.#begin(other) };
    });
    this.#asking.push(first.then(() => this.#askAgain(url)));
    const heard = first.then((named) => named?.other);
    this.#heard.set(url.href, heard);
    return heard;
  }

  async #askAgain(url: URL): Promise<void> {
    while (this.#silent.size > 0 && !this.#ending.aborted) {
      await within(undefined, this.#options.headStartMs, this.#ending);
      if (this.#silent.size === 0 || this.#ending.aborted) return;
      const other = await this.#ask(url);
      if (other !== null) void this.#begin(other);
    }
  }

  /** Never rejects. The one that it named instead of an answer; else null. */
  async #ask(url: URL): Promise<URL | null> {
    const { of, ask, discard } = this.#options;
    try {
      const answer = await ask(url, this.#ending);
      if (answer instanceof URL) {
        this.#errors.set(url.href, named(url, answer));
        return this.#heard.size < of.length + OTHERS_MAX ? answer : null;
      }
      if (this.#ending.aborted) discard(answer);
      else {
        this.#taken = { answer, from: url };
        this.#over.abort();
      }
    } catch (error) {
      this.#errors.set(url.href, error);
    }
    return null;
  }
}

function named({ origin }: URL, other: URL): DinpError {
  return new DinpError("DINP_UNAVAILABLE", `${origin} sends the agent to ${other.origin}.`, {
    retryable: true,
  });
}

/** Waits for it, but no longer than that, nor than until the signal aborts. Does not reject. */
async function within(work: Promise<void> | undefined, ms: number, signal: AbortSignal): Promise<void> {
  const timer = new AbortController();
  const until = AbortSignal.any([signal, timer.signal]);
  const pause =
    ms === Infinity ? aborted(until) : delay(ms, undefined, { signal: until }).catch(() => undefined);
  await (work === undefined ? pause : Promise.race([work, pause]));
  timer.abort();
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
