import assert from "node:assert/strict";
import type { Prober } from "../ports/prober.js";
import { boundedCase } from "./bounded-case.js";
import type { ConformanceCase, SuiteOptions } from "./conformance.js";
import { callCases } from "./prober-calls.js";
import { HTTP, probe, TCP, type ProberCases } from "./prober-harness.js";
import { verdictCases } from "./prober-verdicts.js";

export interface ProberSuiteOptions extends SuiteOptions {
  /** A prober that does at least 16 probes at the same time. */
  readonly create: () => Prober | Promise<Prober>;
  /**
   * A prober that cannot try just now: it has no descriptor, no memory or no turn left. Without it the case of that is
   * left out.
   */
  readonly createStarved?: () => Promise<{ readonly prober: Prober; readonly dispose: () => Promise<void> }>;
}

/** The contract of the `Prober` port, case by case, against servers on 127.0.0.1. */
export function proberSuite(options: ProberSuiteOptions): readonly ConformanceCase[] {
  const { create, createStarved } = options;
  const cases: ProberCases = { ...verdictCases, ...callCases };
  return [
    ...Object.entries(cases).map(([name, check]) =>
      boundedCase({
        name,
        bounds: options,
        create: async () => await create(),
        check,
        dispose: () => Promise.resolve(),
      }),
    ),
    ...(createStarved === undefined
      ? []
      : [
          boundedCase({
            name: "says unknown, and not failure, when it could not try itself",
            bounds: options,
            create: createStarved,
            check: async ({ prober }) => {
              for (const check of [HTTP, TCP]) {
                const result = await probe(prober, 1, check, 50);
                assert.equal(result.outcome, "unknown", JSON.stringify(result));
                assert.notEqual(result.reason, "", "it says why");
              }
            },
            dispose: ({ dispose }) => dispose(),
          }),
        ]),
  ];
}
