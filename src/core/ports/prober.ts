import type { HealthCheck } from "../model/records.js";

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  readonly check: Pick<HealthCheck, "type" | "path" | "statusMin" | "statusMax">;
}

/**
 * `success` and `failure` are verdicts about the instance; `unknown` says that the prober itself could not try
 * (no file descriptors, no memory) and must change nothing.
 */
export type ProbeResult =
  | { readonly outcome: "success"; readonly latencyMs: number; readonly status: number | null }
  | {
      readonly outcome: "failure";
      readonly latencyMs: number;
      /** For people: `connection refused`, `no answer within 1000 ms`, `status 503 (want 200-399)`. */
      readonly reason: string;
      /** At most 200 printable characters of the answer's body, empty when there is none. */
      readonly firstBytes: string;
    }
  | { readonly outcome: "unknown"; readonly reason: string };

/**
 * Asks one instance once, on a connection of its own that does not outlive the probe. A redirect is an answer like any
 * other; the end of the body is not waited for. Rejects only with `DINP_ABORTED` or a `TypeError` (a path that a request
 * cannot carry, a time-out that is not above 0).
 */
export interface Prober {
  /** `timeoutMs` bounds the probe from connecting to the answer's head. */
  probe(
    target: ProbeTarget,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<ProbeResult>;
}
