import assert from "node:assert/strict";
import { boundedCase } from "./bounded-case.js";
import type { ConformanceCase, SuiteOptions } from "./conformance.js";

/** Cases of many steps, each of which may be waited for. */
const WAITS_MAX = 30;

/** A case that may need what only some harnesses can show. */
interface SupportedCase<Means> {
  readonly name: string;
  /** The means of the harness that it needs. */
  readonly requires?: Means;
  readonly stays?: string;
}

/**
 * The cases of what `supports` says that the harness can show, each over a harness that is disposed of however the case
 * ends. A harness without the means that it is said to have fails the case.
 */
export function supportedCases<
  Means extends string,
  Case extends SupportedCase<Means>,
  Harness extends Readonly<Record<Means, unknown>> & { dispose(): Promise<void> },
>(options: {
  readonly cases: readonly Case[];
  readonly supports: Readonly<Record<Means, boolean>>;
  readonly bounds: SuiteOptions;
  readonly create: (each: Case) => Promise<Harness>;
  readonly run: (each: Case, harness: Harness) => Promise<void>;
}): readonly ConformanceCase[] {
  const { cases, supports, bounds, create, run } = options;
  return cases
    .filter(({ requires }) => requires === undefined || supports[requires])
    .map((each) =>
      boundedCase({
        ...{ name: each.name, stays: each.stays, bounds, waitsMax: WAITS_MAX },
        create: () => create(each),
        check: async (harness) => {
          const { requires } = each;
          if (requires !== undefined) {
            const message = `The harness has no \`${requires}\`: give it, or declare it in \`supports\`.`;
            assert.ok(harness[requires], message);
          }
          await run(each, harness);
        },
        dispose: (harness) => harness.dispose(),
      }),
    );
}
