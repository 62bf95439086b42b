import assert from "node:assert/strict";
import { isDinpError, type DinpError, type DinpErrorCode } from "../model/errors.js";

/** One case of a conformance suite; `run` rejects when the adapter does not keep the contract. */
export interface ConformanceCase {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** The longest that one awaited condition may take; a broken adapter fails instead of hanging. */
const WAIT_MS_MAX = 20_000;

/** What `promise` gives, or a failure that names what was waited for. */
export async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new assert.AssertionError({ message: `Waited in vain for ${what}.` }));
    }, WAIT_MS_MAX);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The error of a call that must reject with this code. */
export async function rejectsWith(code: DinpErrorCode, call: () => Promise<unknown>): Promise<DinpError> {
  try {
    await within(call(), `a rejection with ${code}`);
  } catch (error) {
    if (isDinpError(error, code)) return error;
    throw error;
  }
  assert.fail(`The call resolved where it must reject with ${code}.`);
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

/** Tries to change a value that an adapter handed out; frozen ones refuse, copies take it. */
export function vandalize(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const [name, item] of Object.entries(value)) {
    vandalize(item);
    Reflect.set(value, name, "vandalized");
    Reflect.deleteProperty(value, name);
  }
}
