import type { Mutant } from "./matrix.js";
import { commitMutants } from "./state-store-commit-mutants.js";
import { leaseMutants } from "./state-store-lease-mutants.js";
import { lifecycleMutants } from "./state-store-lifecycle-mutants.js";
import { readMutants } from "./state-store-read-mutants.js";
import { watchMutants } from "./state-store-watch-mutants.js";
import type { StorePort } from "./support/broken-store.js";

/** Stores that each break one sentence of the contract, in the order of the suite. */
export const stateStoreMutants: readonly Mutant<StorePort>[] = [
  ...lifecycleMutants,
  ...readMutants,
  ...commitMutants,
  ...watchMutants,
  ...leaseMutants,
];
