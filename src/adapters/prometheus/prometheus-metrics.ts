import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Metrics } from "@dinp/core";

export interface PrometheusMetricsOptions {
  /** Also measures this process: memory, processor time, event loop. Default false. */
  readonly ownProcess?: boolean;
}

/** {@link Metrics} that Prometheus can read. */
export interface PrometheusMetrics extends Metrics {
  readonly contentType: string;
  /** All values now, in Prometheus' text format. */
  text(): Promise<string>;
}

/** How often the event loop is looked at. Every 10 ms, prom-client's default, takes one percent of a processor at rest. */
const LOOK_EVERY_MS = 100;

/** Metrics on prom-client, in a registry of their own. */
export function createPrometheusMetrics(options: PrometheusMetricsOptions = {}): PrometheusMetrics {
  const registry = new Registry();
  if (options.ownProcess === true) {
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOK_EVERY_MS });
  }
  const registers = [registry];
  return {
    counter: ({ name, help, labels = [] }) => {
      const counter = checked(() => new Counter({ name, help, labelNames: [...labels], registers }));
      return {
        add: (by = 1, values = {}) => {
          counter.inc(values, by);
        },
      };
    },
    gauge: ({ name, help }, read) => {
      checked(
        () =>
          new Gauge({
            ...{ name, help, registers },
            collect(): void {
              this.set(read());
            },
          }),
      );
    },
    histogram: ({ name, help, labels = [], buckets }) => {
      const histogram = checked(
        () => new Histogram({ name, help, labelNames: [...labels], buckets: [...buckets], registers }),
      );
      return {
        observe: (value, values = {}) => {
          histogram.observe(values, value);
        },
      };
    },
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}

function checked<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new TypeError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
