import assert from "node:assert/strict";
import type { Prober } from "../ports/prober.js";
import { boundedCase, type WaitOptions } from "./bounded-case.js";
import type { ConformanceCase } from "./conformance.js";
import { callCases } from "./prober-calls.js";
import type { ProberCases } from "./prober-harness.js";
import { verdictCases } from "./prober-verdicts.js";

export interface ProberSuiteOptions extends WaitOptions {
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
  const { create, createStarved, waitMs } = options;
  const cases: ProberCases = { ...verdictCases, ...callCases };
  return [
    ...Object.entries(cases).map(([name, check]) =>
      boundedCase({
        name,
        waitMs,
        create: async () => await create(),
        check: (prober) => check(prober, waitMs),
        dispose: () => Promise.resolve(),
      }),
    ),
    ...(createStarved === undefined
      ? []
      : [
          boundedCase({
            name: "says unknown, and not failure, when it could not try itself",
            waitMs,
            create: createStarved,
            check: async ({ prober }) => {
              for (const type of ["http", "tcp"] as const) {
                const check = { type, path: "/", statusMin: 200, statusMax: 399 };
                const { signal } = new AbortController();
                const target = { host: "127.0.0.1", port: 1, check };
                const result = await prober.probe(target, { timeoutMs: 50, signal });
                assert.equal(result.outcome, "unknown", JSON.stringify(result));
                assert.notEqual(result.reason, "", "it says why");
              }
            },
            dispose: ({ dispose }) => dispose(),
          }),
        ]),
  ];
}
