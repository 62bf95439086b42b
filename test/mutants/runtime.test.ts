import { runtimeSuite, type ConformanceCase } from "@dinp/core/testing";
import { describeMatrix } from "./describe-matrix.js";
import { runtimeMutants } from "./runtime-mutants.js";
import { runtimeHarness, type RuntimePort } from "./support/broken-runtime.js";

const WAIT_MS = 2_500;

function suite(mutate: (port: RuntimePort) => RuntimePort, waitMs?: number): readonly ConformanceCase[] {
  return runtimeSuite(() => runtimeHarness(mutate), waitMs === undefined ? {} : { waitMs });
}

describeMatrix({
  port: "Runtime",
  suite: (mutate) => suite(mutate, WAIT_MS),
  unbroken: suite((port) => port),
  mutants: runtimeMutants,
  width: 16,
});
