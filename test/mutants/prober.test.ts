import type { Prober } from "@dinp/core";
import { createHttpProber } from "@dinp/core/http";
import { proberSuite, type ConformanceCase } from "@dinp/core/testing";
import { starvedHttpProber } from "../adapters/support/starved-prober.js";
import { describeMatrix } from "./describe-matrix.js";
import { proberMutants } from "./prober-mutants.js";

const TAKES_MS_MAX = 3_000;

function suite(mutate: (prober: Prober) => Prober, waitMs?: number): readonly ConformanceCase[] {
  return proberSuite({
    ...(waitMs === undefined ? {} : { waitMs }),
    create: () => mutate(createHttpProber()),
    createStarved: async () => {
      const { prober, dispose } = await starvedHttpProber();
      return { prober: mutate(prober), dispose };
    },
  });
}

describeMatrix({
  port: "Prober",
  suite: (mutate) => suite(mutate, TAKES_MS_MAX),
  unbroken: suite((prober) => prober),
  mutants: proberMutants,
  width: 20,
});
