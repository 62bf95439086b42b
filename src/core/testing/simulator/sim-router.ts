import { createRouteFollower, type RouteFollower } from "../../loops/route-follower.js";
import { Balancer } from "../../routing/balancer.js";
import type { RouteTable } from "../../ports/route-table.js";
import type { InstanceId } from "../../model/records.js";
import type { RouterUse } from "./outside.js";
import type { SimNode } from "./sim-node.js";
import type { SimProcess, World } from "./sim-process.js";

const CONNECT_MS = 2;
/** Most requests are short, some are not: downloads, long polls. */
const SHORT_MS = 30;
const LONG_MS = 15_000;
const LONG_SHARE = 0.1;
const REQUEST_MS_MAX = 40_000;

/** A router with its traffic: requests that find out who really answers. */
export class SimRouter {
  readonly #world: World;
  readonly #process: SimProcess;
  readonly #nodes: readonly SimNode[];
  readonly #balancer = new Balancer();
  readonly #inFlight = new Map<InstanceId, number>();
  readonly #name: string;
  readonly follower: RouteFollower;

  constructor(
    world: World,
    process: SimProcess,
    table: RouteTable,
    nodes: readonly SimNode[],
    routerId: string,
  ) {
    this.#world = world;
    this.#process = process;
    this.#nodes = nodes;
    this.#name = routerId;
    const { clock, logger } = process;
    this.follower = createRouteFollower({ table, routerId, clock, logger });
  }

  run(signal: AbortSignal): Promise<void> {
    return this.follower.run(signal);
  }

  /** What it does with the instance, if anything. */
  useOf(instanceId: InstanceId): RouterUse | null {
    if (this.follower.index().hasInstance(instanceId)) return { router: this.#name, why: "routes to it" };
    if (!this.#inFlight.has(instanceId)) return null;
    return { router: this.#name, why: "has a request of it in flight" };
  }

  /** The instances that it looks for at the address. */
  *soughtAt(host: string, port: number): Generator<{ router: string; instanceId: InstanceId }> {
    for (const { endpoints } of this.follower.index().routes()) {
      for (const endpoint of endpoints) {
        if (endpoint.port !== port || endpoint.host !== host) continue;
        yield { router: this.#name, instanceId: endpoint.instanceId };
      }
    }
  }

  #count(instanceId: InstanceId, step: 1 | -1): void {
    const count = (this.#inFlight.get(instanceId) ?? 0) + step;
    if (count > 0) this.#inFlight.set(instanceId, count);
    else this.#inFlight.delete(instanceId);
  }

  /** One request for the host comes in; `app`: the name of the one that the host is of. */
  request(host: string, app: string): void {
    if (this.#process.stoppedUntil > this.#world.scheduler.now) return;
    const { scheduler, faults, journal } = this.#world;
    const route = this.follower.index().find(host, "/");
    const endpoint = route === null ? null : this.#balancer.choose(route, new Set(), scheduler.now);
    if (route === null || endpoint === null) {
      journal.count(route === null ? "request to an unknown host" : "request without an endpoint");
      return;
    }
    const { instanceId, host: address, port } = endpoint;
    this.follower.begin(instanceId);
    this.#count(instanceId, 1);
    const endAfter = (ms: number): void => {
      scheduler.after(
        ms,
        () => {
          this.#count(instanceId, -1);
          this.follower.end(instanceId);
        },
        this.#process,
      );
    };
    scheduler.after(
      faults.random.exponential(CONNECT_MS),
      () => {
        const listener = this.#nodes.find((node) => node.address === address)?.listenerAt(port) ?? null;
        if (listener === null) {
          journal.count("request refused");
          this.#balancer.failed(instanceId, scheduler.now);
          endAfter(0);
          return;
        }
        journal.count("request answered");
        if (listener.appId !== route.appId || listener.appName !== app) {
          journal.violate(
            "no-request-to-another-app",
            `${this.#process.name} sent a request for ${host} to ${instanceId} at ${address}:${String(port)}, ` +
              `where ${listener.instanceId} of ${listener.appName} answered`,
          );
        }
        this.#balancer.succeeded(instanceId);
        const meanMs = faults.random.chance(LONG_SHARE) ? LONG_MS : SHORT_MS;
        endAfter(Math.min(REQUEST_MS_MAX, faults.random.exponential(meanMs)));
      },
      this.#process,
    );
  }
}
