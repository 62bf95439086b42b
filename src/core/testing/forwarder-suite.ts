import { boundedCase } from "./bounded-case.js";
import type { ConformanceCase } from "./conformance.js";
import { exchangeCases } from "./forwarder-exchanges.js";
import { failureCases } from "./forwarder-failures.js";
import { Stage, type ForwarderSuiteOptions } from "./forwarder-stage.js";

/** The contract of the `Forwarder` port for HTTP/1.1, case by case, byte by byte on both sides. */
export function forwarderSuite(options: ForwarderSuiteOptions): readonly ConformanceCase[] {
  return Object.entries({ ...exchangeCases, ...failureCases }).map(([name, each]) =>
    boundedCase({
      name,
      bounds: options,
      create: () => Stage.set(options, each),
      check: (stage) => each.run(stage),
      dispose: (stage) => stage.strike(),
    }),
  );
}
