import type {
  RouteChange,
  RouterAcknowledgement,
  RouteTable,
  RouteTableEvent,
  RouteTableSnapshot,
  RouteTableVersion,
} from "@dinp/core";
import { createMemoryRouteTable } from "@dinp/core/memory";
import { createSystemRandom } from "@dinp/core/system";

const random = createSystemRandom();

/** A route table that can lose all that it had, as a cache does that was restarted. */
export class LosableTable implements RouteTable {
  #present = createMemoryRouteTable({ random });

  /** From now on it is an empty one of another incarnation; what watched it ends. */
  async losePast(): Promise<void> {
    const past = this.#present;
    this.#present = createMemoryRouteTable({ random });
    await past.close();
  }

  snapshot(options?: { readonly signal?: AbortSignal }): Promise<RouteTableSnapshot> {
    return this.#present.snapshot(options);
  }

  apply(
    changes: readonly RouteChange[],
    options: { readonly epoch: number; readonly ifVersion: RouteTableVersion; readonly signal?: AbortSignal },
  ): Promise<RouteTableVersion> {
    return this.#present.apply(changes, options);
  }

  watch(options: {
    readonly after: RouteTableVersion;
    readonly signal: AbortSignal;
  }): AsyncIterable<RouteTableEvent> {
    return this.#present.watch(options);
  }

  acknowledge(said: RouterAcknowledgement, options?: { readonly signal?: AbortSignal }): Promise<void> {
    return this.#present.acknowledge(said, options);
  }

  acknowledgements(options?: { readonly signal?: AbortSignal }): Promise<readonly RouterAcknowledgement[]> {
    return this.#present.acknowledgements(options);
  }

  watchAcknowledgements(options: { readonly signal: AbortSignal }): AsyncIterable<void> {
    return this.#present.watchAcknowledgements(options);
  }

  close(): Promise<void> {
    return this.#present.close();
  }
}
