import type { Forwarder } from "@dinp/core";
import { loadHttpProxyForwarder, type NodeExchange } from "@dinp/core/http-proxy";
import { forwarderSuite, type ConformanceCase } from "@dinp/core/testing";
import { forwarderFront } from "../adapters/support/forwarder-front.js";
import { describeMatrix } from "./describe-matrix.js";
import { forwarderMutants } from "./forwarder-mutants.js";

const TAKES_MS_MAX = 4_000;

function suite(
  mutate: (forwarder: Forwarder<NodeExchange>) => Forwarder<NodeExchange>,
  waitMs?: number,
): readonly ConformanceCase[] {
  return forwarderSuite({
    ...(waitMs === undefined ? {} : { waitMs }),
    create: forwarderFront(async () => mutate(await loadHttpProxyForwarder())),
  });
}

describeMatrix({
  port: "Forwarder",
  suite: (mutate) => suite(mutate, TAKES_MS_MAX),
  unbroken: suite((forwarder) => forwarder),
  mutants: forwarderMutants,
  width: 30,
});
