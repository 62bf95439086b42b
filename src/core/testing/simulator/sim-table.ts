import type {
  RouteChange,
  RouterAcknowledgement,
  RouteTable,
  RouteTableEvent,
  RouteTableSnapshot,
  RouteTableVersion,
} from "../../ports/route-table.js";
import type { SimProcess, World } from "./sim-process.js";

/** The route table that all share. It may lose all that it had, and begins anew then. */
export class SharedTable {
  readonly #world: World;
  readonly #create: () => RouteTable;
  #present: RouteTable;

  constructor(world: World, create: () => RouteTable) {
    this.#world = world;
    this.#create = create;
    this.#present = create();
  }

  get present(): RouteTable {
    return this.#present;
  }

  async losePast(): Promise<void> {
    const past = this.#present;
    this.#world.journal.note("the route table loses its past");
    this.#present = this.#create();
    this.#world.faults.breakAll("table");
    await past.close();
  }

  close(): Promise<void> {
    return this.#present.close();
  }
}

/** One process's way to the route table. */
export class SimTable implements RouteTable {
  readonly #process: SimProcess;
  readonly #shared: SharedTable;

  constructor(process: SimProcess, shared: SharedTable) {
    this.#process = process;
    this.#shared = shared;
  }

  snapshot(options: { readonly signal?: AbortSignal } = {}): Promise<RouteTableSnapshot> {
    return this.#process.call("table", "snapshot", () => this.#inner.snapshot(), options);
  }

  apply(
    changes: readonly RouteChange[],
    options: {
      readonly epoch: number;
      readonly ifVersion: RouteTableVersion;
      readonly signal?: AbortSignal;
    },
  ): Promise<RouteTableVersion> {
    const { signal, epoch, ifVersion } = options;
    const perform = (): Promise<RouteTableVersion> => this.#inner.apply(changes, { epoch, ifVersion });
    return this.#process.call("table", "apply", perform, { isWrite: true, signal });
  }

  watch(options: {
    readonly after: RouteTableVersion;
    readonly signal: AbortSignal;
  }): AsyncIterable<RouteTableEvent> {
    const { signal, after } = options;
    return this.#process.watch<RouteTableEvent>(
      "table",
      (inner) => this.#inner.watch({ after, signal: inner }),
      {
        signal,
        gap: { type: "reset" },
      },
    );
  }

  acknowledge(
    acknowledgement: RouterAcknowledgement,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const perform = (): Promise<void> => this.#inner.acknowledge(acknowledgement);
    return this.#process.call("table", "acknowledge", perform, { isWrite: true, ...options });
  }

  acknowledgements(
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<readonly RouterAcknowledgement[]> {
    return this.#process.call("table", "acknowledgements", () => this.#inner.acknowledgements(), options);
  }

  watchAcknowledgements(options: { readonly signal: AbortSignal }): AsyncIterable<void> {
    const { signal } = options;
    return this.#process.watch("table", (inner) => this.#inner.watchAcknowledgements({ signal: inner }), {
      signal,
      isHint: true,
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  get #inner(): RouteTable {
    return this.#shared.present;
  }
}
