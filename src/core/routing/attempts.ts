import type { Endpoint, InstanceId } from "../model/records.js";
import type { ForwardOutcome } from "../ports/forwarder.js";
import type { Route } from "../ports/route-table.js";
import type { Balancer } from "./balancer.js";

/** How often and for how long one request is tried. */
export interface RetryPolicy {
  /** Attempts at most, the first one included; `Infinity`: as many as there are endpoints. */
  readonly attemptsMax: number;
  /** No further attempt is begun this long after the first. */
  readonly totalMs: number;
}

/**
 * Defaults of {@link RetryPolicy}: every endpoint once, none begun after 30 s. Endpoints that refuse take next to no time; those of a
 * machine that is gone take the time to connect each, and are passed over by the requests after it.
 */
export const defaultRetryPolicy: RetryPolicy = Object.freeze({ attemptsMax: Infinity, totalMs: 30_000 });

/**
 * The attempts of one request: which endpoint comes next, and what each outcome teaches the balancer.
 *
 * Another endpoint is tried while the last outcome was retryable, some endpoint was not tried yet, and the policy's
 * bounds allow. An endpoint is tried once. Only failures to reach an endpoint or to get a sound answer from it
 * (`connect`, `reset`, `bad-response`) eject it; a client that went away and an answer that took too long do not.
 */
export class Attempts {
  readonly #balancer: Balancer;
  readonly #policy: RetryPolicy;
  readonly #startedAt: number;
  readonly #tried = new Set<InstanceId>();
  #final = false;

  /** `now` is the monotonic time of the request's start, in milliseconds. */
  constructor(balancer: Balancer, now: number, policy: RetryPolicy = defaultRetryPolicy) {
    this.#balancer = balancer;
    this.#policy = policy;
    this.#startedAt = now;
  }

  /** Attempts begun so far. */
  get count(): number {
    return this.#tried.size;
  }

  /**
   * The endpoint for the next attempt, or null when there is to be none. The route is given anew each time: a table that
   * changed meanwhile brings its new endpoints.
   */
  next(route: Route, now: number): Endpoint | null {
    if (this.#final || this.count >= this.#policy.attemptsMax) return null;
    if (this.count > 0 && now - this.#startedAt >= this.#policy.totalMs) return null;
    const endpoint = this.#balancer.choose(route, this.#tried, now);
    if (endpoint !== null) this.#tried.add(endpoint.instanceId);
    return endpoint;
  }

  /** Records how the attempt at `endpoint` ended. */
  ended(endpoint: Endpoint, outcome: ForwardOutcome, now: number): void {
    switch (outcome.kind) {
      case "answered":
        this.#balancer.succeeded(endpoint.instanceId);
        this.#final = true;
        return;
      case "client-gone":
        this.#final = true;
        return;
      case "failed":
        if (outcome.reason !== "timeout") this.#balancer.failed(endpoint.instanceId, now);
        this.#final = !outcome.retryable;
    }
  }
}
