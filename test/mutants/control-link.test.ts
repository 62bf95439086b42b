import type { ControlLink } from "@dinp/core";
import { controlLinkSuite, type ConformanceCase } from "@dinp/core/testing";
import { controlLinkMutants } from "./control-link-mutants.js";
import { describeMatrix } from "./describe-matrix.js";
import { linkHarness } from "./support/broken-link.js";

/** Enough on a machine of any speed: this link moves on in microtasks, so that only what never comes is waited for. */
const WAIT_MS = 200;

function suite(mutate: (link: ControlLink) => ControlLink, waitMs?: number): readonly ConformanceCase[] {
  return controlLinkSuite(() => linkHarness(mutate), {
    supports: { cut: false },
    ...(waitMs === undefined ? {} : { waitMs }),
  });
}

describeMatrix({
  port: "ControlLink",
  suite: (mutate) => suite(mutate, WAIT_MS),
  unbroken: suite((link) => link),
  mutants: controlLinkMutants,
  width: 16,
});
