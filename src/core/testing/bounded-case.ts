import { later, within, withinBounds, type ConformanceCase, type SuiteOptions } from "./conformance.js";

/**
 * A case over a subject of its own. As a whole it takes no longer than one of its waits may, and its subject is disposed
 * of however it ends, also one that came too late.
 */
export function boundedCase<Subject>(options: {
  readonly name: string;
  readonly bounds: SuiteOptions;
  readonly create: () => Promise<Subject>;
  readonly check: (subject: Subject) => Promise<void>;
  readonly dispose: (subject: Subject) => Promise<void>;
}): ConformanceCase {
  const { name, bounds, create, check, dispose } = options;
  const run = async (): Promise<void> => {
    const creating = later(create());
    const subject = await within(creating, "what the case needs").catch((error: unknown) => {
      void creating.then(dispose).catch(() => undefined);
      throw error;
    });
    try {
      await within(check(subject), `the end of the case "${name}"`);
    } finally {
      await within(dispose(subject), "the end of what the case used");
    }
  };
  return { name, run: () => withinBounds(bounds, run) };
}
