import { boundedCase } from "./bounded-case.js";
import type { ConformanceCase } from "./conformance.js";
import { blobCases } from "./registry-blobs.js";
import { boundaryCases } from "./registry-boundaries.js";
import { cutCases, damageCases, mendingCases } from "./registry-faults.js";
import type { RegistrySuiteOptions } from "./registry-harness.js";
import { manifestCases } from "./registry-manifests.js";

/** The contract of the `Registry` port, case by case; each runs on a registry of its own. */
export function registrySuite(options: RegistrySuiteOptions): readonly ConformanceCase[] {
  const { create, damages = false, mends = damages, cuts = false } = options;
  const all = {
    ...blobCases,
    ...manifestCases,
    ...boundaryCases,
    ...(damages ? damageCases : {}),
    ...(mends ? mendingCases : {}),
    ...(cuts ? cutCases : {}),
  };
  return Object.entries(all).map(([name, check]) =>
    boundedCase({
      name,
      bounds: options,
      create,
      check: (subject) => check(subject.registry, subject),
      dispose: (subject) => subject.dispose(),
    }),
  );
}
