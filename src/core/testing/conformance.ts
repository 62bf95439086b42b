import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { isDinpError, type DinpError, type DinpErrorCode } from "../model/errors.js";

/** One case of a conformance suite; `run` rejects when the adapter does not keep the contract. */
export interface ConformanceCase {
  readonly name: string;
  readonly run: () => Promise<void>;
  /** Why the case is kept although no single broken adapter is caught by it alone. */
  readonly stays?: string;
}

/** What every suite can be given. */
export interface SuiteOptions {
  /**
   * The longest that one awaited condition of a case may take, in milliseconds: a broken adapter fails instead of hanging,
   * and a good one on a busy machine must not fail. A case as a whole ends within 30 times as long; where cases are short
   * (forwarders, probers, registries), within as long. Default 60,000.
   */
  readonly waitMs?: number;
}

/** The longest that one awaited condition may take when nobody says. */
const WAIT_MS_MAX = 60_000;

/** How often a condition is looked at. */
const POLL_MS = 5;

/** The longest that one awaited condition of the running case may take. */
const waitMs = new AsyncLocalStorage<number>();

/** Runs the body of a case with the suite's bound on each of its waits. */
export function withinBounds<T>(bounds: SuiteOptions, body: () => Promise<T>): Promise<T> {
  return waitMs.run(bounds.waitMs ?? WAIT_MS_MAX, body);
}

/** What `promise` gives, or a failure that names what was waited for, after the time of so many waits. */
export async function within<T>(promise: Promise<T>, what: string, waits = 1): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => {
        reject(new assert.AssertionError({ message: `Waited in vain for ${what}.` }));
      },
      waits * (waitMs.getStore() ?? WAIT_MS_MAX),
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves when the condition is true; fails, naming `what`, when that takes longer than a case may wait. */
export async function eventually(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const late = new AbortController();
  const poll = async (): Promise<void> => {
    while (!late.signal.aborted && !(await condition())) await delay(POLL_MS);
  };
  try {
    await within(poll(), what);
  } finally {
    late.abort();
  }
}

/** The error of a call that must reject with this code; `what` names the call among others. */
export async function rejectsWith(
  code: DinpErrorCode,
  call: () => Promise<unknown>,
  what?: string,
): Promise<DinpError> {
  const about = what === undefined ? "" : ` for ${JSON.stringify(what)}`;
  try {
    await within(call(), `a rejection with ${code}${about}`);
  } catch (error) {
    if (isDinpError(error, code)) return error;
    throw error;
  }
  assert.fail(`The call resolved where it must reject with ${code}${about}.`);
}

export async function rejectsAsMisuse(call: () => Promise<unknown>): Promise<void> {
  await assert.rejects(within(call(), "a TypeError"), TypeError);
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** An iterable read step by step, so that a test can act in between. */
export class Reader<T> {
  readonly #iterator: AsyncIterator<T>;

  constructor(items: AsyncIterable<T>) {
    this.#iterator = items[Symbol.asyncIterator]();
  }

  async next(): Promise<T> {
    const result = await within(this.#iterator.next(), "the next event");
    if (result.done === true) assert.fail("The watch ended where an event was due.");
    return result.value;
  }

  /** Null at the end. */
  async nextOrEnd(): Promise<T | null> {
    const result = await within(this.#iterator.next(), "the next event or the end");
    return result.done === true ? null : result.value;
  }

  async take(count: number): Promise<T[]> {
    const items: T[] = [];
    while (items.length < count) items.push(await this.next());
    return items;
  }

  async expectEnd(): Promise<void> {
    const result = await within(this.#iterator.next(), "the end of the watch");
    assert.equal(result.done, true, "The watch went on where it must end.");
  }
}

/** What a case starts now and awaits later: should the case fail in between, no rejection is left unhandled. */
export function later<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Lets what is under way go on for a while, without a clock: `count` rounds of the microtask queue. */
export async function letOthersRun(count: number): Promise<void> {
  for (let round = 0; round < count; round += 1) await Promise.resolve();
}

/** Tries to change a value that an adapter handed out; frozen ones refuse, copies take it. */
export function vandalize(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const [name, item] of Object.entries(value)) {
    vandalize(item);
    Reflect.set(value, name, "vandalized");
    Reflect.deleteProperty(value, name);
  }
}
