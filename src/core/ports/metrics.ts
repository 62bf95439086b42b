/** What a measured value is called, in the words of OpenMetrics: `dinp_router_requests_total`. */
export interface MetricDefinition {
  readonly name: string;
  /** One sentence; the unit is in the name (`_seconds`, `_bytes`). */
  readonly help: string;
  /** Names of the labels. Their values must be few: never an id, a path or anything that a client chooses. */
  readonly labels?: readonly string[];
}

export type MetricLabels = Readonly<Record<string, string>>;

/** Counts up from 0. */
export interface Counter {
  add(by?: number, labels?: MetricLabels): void;
}

/** How values of the same kind are spread. */
export interface Histogram {
  observe(value: number, labels?: MetricLabels): void;
}

/** Measured values of a process. Never throws but for misuse: `TypeError` for a name that is taken or malformed. */
export interface Metrics {
  counter(definition: MetricDefinition): Counter;
  /** A value that is asked for whenever somebody looks. */
  gauge(definition: Omit<MetricDefinition, "labels">, read: () => number): void;
  /** `buckets`: upper bounds, ascending. */
  histogram(definition: MetricDefinition & { readonly buckets: readonly number[] }): Histogram;
}
