import type { ConformanceCase, SuiteOptions } from "./conformance.js";
import { LinkBench, type ControlLinkHarness, type ControlLinkSupports } from "./control-link-harness.js";
import { messageCases } from "./control-link-messages.js";
import { sessionCases } from "./control-link-sessions.js";
import { streamCases } from "./control-link-streams.js";
import { supportedCases } from "./supported-cases.js";

export type { ControlLinkHarness, ControlLinkSupports } from "./control-link-harness.js";

export interface ControlLinkSuiteOptions extends SuiteOptions {
  /** What the harness can show; the cases of what it cannot are left out. Default: all. */
  readonly supports?: Partial<ControlLinkSupports>;
}

/** The contract of the `ControlLink` port, case by case. Cases may run in any order and at the same time. */
export function controlLinkSuite(
  create: () => Promise<ControlLinkHarness>,
  options: ControlLinkSuiteOptions = {},
): readonly ConformanceCase[] {
  return supportedCases({
    cases: [...sessionCases, ...messageCases, ...streamCases],
    supports: { cut: true, ...options.supports },
    bounds: options,
    create,
    run: async ({ body }, harness) => {
      const bench = new LinkBench(harness);
      try {
        await body(bench);
      } finally {
        bench.close();
      }
    },
  });
}
