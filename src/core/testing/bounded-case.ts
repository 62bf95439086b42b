import { later, within, withinBounds, type ConformanceCase, type SuiteOptions } from "./conformance.js";

/**
 * A case over a subject of its own. What makes the subject, the case as a whole, and what disposes of it take each no longer
 * than `waitsMax` of its waits may. The subject is disposed of however the case ends, also one that came too late.
 */
export function boundedCase<Subject>(options: {
  readonly name: string;
  readonly stays?: string | undefined;
  readonly bounds: SuiteOptions;
  /** Default 1. */
  readonly waitsMax?: number;
  readonly create: () => Promise<Subject>;
  readonly check: (subject: Subject) => Promise<void>;
  readonly dispose: (subject: Subject) => Promise<void>;
}): ConformanceCase {
  const { name, stays, bounds, waitsMax = 1, create, check, dispose } = options;
  const run = async (): Promise<void> => {
    const creating = later(create());
    const subject = await within(creating, "what the case needs", waitsMax).catch((error: unknown) => {
      void creating.then(dispose).catch(() => undefined);
      throw error;
    });
    try {
      await within(check(subject), `the end of the case "${name}"`, waitsMax);
    } finally {
      await within(dispose(subject), "the end of what the case used", waitsMax);
    }
  };
  return {
    name,
    run: () => withinBounds(bounds, run),
    ...(stays === undefined ? {} : { stays }),
  };
}
