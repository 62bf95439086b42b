import type { Metrics, RouteFollower } from "@dinp/core";
import type { AccessRecord } from "@dinp/core/http-router";

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Measures a router; gives what it tells each request to. */
export function measureRouter(metrics: Metrics, follower: RouteFollower): (record: AccessRecord) => void {
  const requests = metrics.counter({
    name: "dinp_router_requests_total",
    help: "Requests that ended, by the class of their status (0xx: the client went away) and why the router answered itself",
    labels: ["status", "reason"],
  });
  const seconds = metrics.histogram({
    name: "dinp_router_request_duration_seconds",
    help: "From the head of a request to the end of its answer",
    buckets: SECONDS,
  });
  const attempts = metrics.counter({
    name: "dinp_router_attempts_total",
    help: "Requests sent to instances; more than those that ended where some were tried again",
  });
  metrics.gauge({ name: "dinp_router_routes", help: "Routes that are served" }, () => follower.index().size);
  metrics.gauge(
    { name: "dinp_router_table_revision", help: "Revision of the table that is served; -1 before the first" },
    () => follower.version()?.revision ?? -1,
  );
  metrics.gauge(
    {
      name: "dinp_router_table_followed",
      help: "1 while the table is followed, 0 while the last good one is served",
    },
    () => (follower.problem() === null ? 1 : 0),
  );
  return (record) => {
    const status = record.status === null ? "0xx" : `${String(Math.floor(record.status / 100))}xx`;
    requests.add(1, { status, reason: record.reason ?? "" });
    seconds.observe(record.durationMs / 1000);
    attempts.add(record.attempts);
  };
}
