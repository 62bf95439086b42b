import assert from "node:assert/strict";
import { isDinpError, type DinpErrorCode } from "../model/errors.js";
import { WAIT_MS_MAX, within, type ConformanceCase } from "./conformance.js";

/** What a suite takes besides the adapter under test. */
export interface WaitOptions {
  /** The longest that a case may take before it fails, in milliseconds. Default 20,000. */
  readonly waitMs?: number;
}

/** A case over a subject of its own; it ends in time, and its subject is disposed of however it ends. */
export function boundedCase<Subject>(options: {
  readonly name: string;
  readonly stays?: string;
  readonly waitMs: number | undefined;
  readonly create: () => Promise<Subject>;
  readonly check: (subject: Subject) => Promise<void>;
  readonly dispose: (subject: Subject) => Promise<void>;
}): ConformanceCase {
  const { name, stays, waitMs = WAIT_MS_MAX, create, check, dispose } = options;
  return {
    name,
    ...(stays === undefined ? {} : { stays }),
    run: async () => {
      const subject = await within(create(), "what the case needs", waitMs);
      try {
        await within(check(subject), `the end of the case "${name}"`, waitMs);
      } finally {
        await within(dispose(subject), "the end of what the case used", waitMs);
      }
    },
  };
}

/** Resolves when the condition is true; fails, naming `what`, when it is not within `waitMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  waitMs = WAIT_MS_MAX,
): Promise<void> {
  const end = performance.now() + waitMs;
  while (!(await condition())) {
    if (performance.now() > end) assert.fail(`Waited in vain for ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Passes when the promise rejects with the code. */
export async function expectCode(
  code: DinpErrorCode,
  promise: Promise<unknown>,
  what?: string,
): Promise<void> {
  const about = what === undefined ? "" : ` for ${what}`;
  let outcome: unknown;
  try {
    outcome = await promise;
  } catch (error) {
    assert.ok(isDinpError(error, code), `expected ${code}${about}, got ${String(error)}`);
    return;
  }
  assert.fail(`expected ${code}${about}, got ${JSON.stringify(outcome)}`);
}
