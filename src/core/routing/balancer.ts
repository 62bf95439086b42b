import type { Endpoint, InstanceId } from "../model/records.js";
import type { Route } from "../ports/route-table.js";

/** How long an endpoint that failed is passed over. */
export interface EjectionPolicy {
  /** After the first failure. Doubles with every further one. */
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Defaults of {@link EjectionPolicy}: 1 s, doubling up to 30 s. */
export const defaultEjectionPolicy: EjectionPolicy = Object.freeze({ firstMs: 1_000, maxMs: 30_000 });

interface Failures {
  readonly count: number;
  readonly ejectedUntil: number;
}

/**
 * Chooses endpoints: in turn per route, passing over those that failed lately ("ejected") unless that would leave none.
 *
 * It keeps no clock: every `now` is a monotonic time in milliseconds given by the caller. Its memory is bounded by the
 * routes in use and by the endpoints that are failing; `forget` drops instances that left the table.
 */
export class Balancer {
  readonly #policy: EjectionPolicy;
  /** By the route's identity, so that a route that left the table takes its turn counter with it. */
  readonly #turns = new WeakMap<Route, number>();
  readonly #failures = new Map<InstanceId, Failures>();

  constructor(policy: EjectionPolicy = defaultEjectionPolicy) {
    this.#policy = policy;
  }

  /**
   * The next endpoint of the route that is not in `tried`; null when all are. Ejected endpoints are chosen only when
   * every endpoint not yet tried is ejected. Takes constant time while no endpoint is failing.
   */
  choose(route: Route, tried: ReadonlySet<InstanceId>, now: number): Endpoint | null {
    const candidates = this.#candidates(route.endpoints, tried, now);
    const turn = this.#turns.get(route) ?? 0;
    this.#turns.set(route, (turn + 1) % Number.MAX_SAFE_INTEGER);
    return candidates[turn % candidates.length] ?? null;
  }

  /**
   * The endpoint could not be reached or dropped the request: it is ejected, each time for longer. Failures that come
   * in while it is ejected (of requests that were already on their way) do not lengthen it.
   */
  failed(instanceId: InstanceId, now: number): void {
    const present = this.#failures.get(instanceId);
    if (present !== undefined && now < present.ejectedUntil) return;
    const count = (present?.count ?? 0) + 1;
    const ms = Math.min(this.#policy.maxMs, this.#policy.firstMs * 2 ** Math.min(count - 1, 30));
    this.#failures.set(instanceId, { count, ejectedUntil: now + ms });
  }

  /** The endpoint answered: it is as good as any other again. */
  succeeded(instanceId: InstanceId): void {
    if (this.#failures.size > 0) this.#failures.delete(instanceId);
  }

  isEjected(instanceId: InstanceId, now: number): boolean {
    const failures = this.#failures.get(instanceId);
    return failures !== undefined && now < failures.ejectedUntil;
  }

  /** Forgets the failures of every instance for which `isKnown` is false. */
  forget(isKnown: (instanceId: InstanceId) => boolean): void {
    for (const instanceId of this.#failures.keys()) {
      if (!isKnown(instanceId)) this.#failures.delete(instanceId);
    }
  }

  /** Number of instances with failures on record. */
  get failing(): number {
    return this.#failures.size;
  }

  #candidates(
    endpoints: readonly Endpoint[],
    tried: ReadonlySet<InstanceId>,
    now: number,
  ): readonly Endpoint[] {
    if (this.#failures.size === 0 && tried.size === 0) return endpoints;
    const untried = endpoints.filter(({ instanceId }) => !tried.has(instanceId));
    const sound = untried.filter(({ instanceId }) => !this.isEjected(instanceId, now));
    return sound.length > 0 ? sound : untried;
  }
}
