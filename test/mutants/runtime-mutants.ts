import type { Mutant } from "./matrix.js";
import { runtimeCommandMutants } from "./runtime-command-mutants.js";
import { runtimeEndMutants } from "./runtime-end-mutants.js";
import { runtimeLifecycleMutants } from "./runtime-lifecycle-mutants.js";
import { runtimeObservationMutants } from "./runtime-observation-mutants.js";
import { runtimeRunMutants } from "./runtime-run-mutants.js";
import { runtimeSecretMutants } from "./runtime-secret-mutants.js";
import { runtimeStartMutants } from "./runtime-start-mutants.js";
import type { RuntimePort } from "./support/broken-runtime.js";

export const runtimeMutants: readonly Mutant<RuntimePort>[] = [
  ...runtimeStartMutants,
  ...runtimeEndMutants,
  ...runtimeObservationMutants,
  ...runtimeLifecycleMutants,
  ...runtimeCommandMutants,
  ...runtimeRunMutants,
  ...runtimeSecretMutants,
];
