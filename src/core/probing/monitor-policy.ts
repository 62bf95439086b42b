/** The numbers that a health monitor goes by. */
export interface MonitorPolicy {
  /** Failures in a row after which an instance is withdrawn. */
  readonly failureThreshold: number;
  /** Successes in a row after which it is given back. */
  readonly successThreshold: number;
  /** A release's own interval is held within these. */
  readonly intervalMinMs: number;
  readonly intervalMaxMs: number;
  /** When more than this share of its probes fails, a monitor judges nobody: the fault is more likely its own. */
  readonly failedShareMax: number;
  /** It judges again once no more than that have failed for so long. */
  readonly calmMs: number;
}

export const defaultMonitorPolicy: MonitorPolicy = Object.freeze({
  failureThreshold: 3,
  successThreshold: 2,
  intervalMinMs: 5_000,
  intervalMaxMs: 15_000,
  failedShareMax: 0.5,
  calmMs: 30_000,
});
