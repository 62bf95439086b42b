import type { HealthMonitorState, Metrics, ProbeResult } from "@dinp/core";

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Measures the probes of a monitor; gives what is told of each. */
export function measureProbes(metrics: Metrics): (result: ProbeResult) => void {
  const probes = metrics.counter({
    name: "dinp_hm_probes_total",
    help: "Probes that have ended; unknown: they could not be tried",
    labels: ["outcome"],
  });
  const seconds = metrics.histogram({
    name: "dinp_hm_probe_duration_seconds",
    help: "From connecting to the answer's head, or to the failure",
    buckets: SECONDS,
  });
  return (result) => {
    probes.add(1, { outcome: result.outcome });
    if (result.outcome !== "unknown") seconds.observe(result.latencyMs / 1000);
  };
}

/** Measures how a monitor stands. */
export function measureMonitor(metrics: Metrics, state: () => HealthMonitorState): void {
  const gauge = (name: string, help: string, read: (now: HealthMonitorState) => number): void => {
    metrics.gauge({ name: `dinp_hm_${name}`, help }, () => read(state()));
  };
  gauge(
    "working",
    "1 while it holds its lease, 0 while another of its name does or the store is away",
    (now) => Number(now.isWorking),
  );
  gauge("instances", "Instances that it probes", (now) => now.instances);
  gauge("failing", "Instances of these that do not answer it", (now) => now.failing);
  gauge("withdrawn", "Instances that it has withdrawn", (now) => now.withdrawn);
  gauge("suspended", "1 while it judges nobody, because most of its probes fail at once", (now) =>
    Number(now.isSuspended),
  );
}
