import { DinpError } from "../model/errors.js";
import type { Revision } from "../model/records.js";
import { ClusterIndex, type ClusterView, type Touched, viewKinds } from "../plan/cluster-view.js";
import type { RecordChange, StateStore } from "../ports/state-store.js";
import type { Clock, Logger } from "../ports/system.js";
import { repeatUntilAborted, sleepQuietly } from "./tasks.js";
import { Wakeup } from "./wakeup.js";

/**
 * Told after every change of the view: what changed, and whom that concerns. Both are null when the whole view was read
 * anew.
 */
export type ViewListener = (changes: readonly RecordChange[] | null, touched: Touched | null) => void;

/** Between one following and the next: a store that only ever says `reset` is not asked without a pause. */
const FOLLOW_PAUSE_MS = 100;

/** Keeps an indexed view of the store: a snapshot, then every later commit without a gap. */
export class StateFollower {
  readonly #store: StateStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #index = new ClusterIndex();
  readonly #listeners = new Set<ViewListener>();
  #fresh = false;

  constructor(options: { readonly store: StateStore; readonly clock: Clock; readonly logger: Logger }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  get view(): ClusterView {
    return this.#index;
  }

  /** True while the view is whole and followed; false before the first snapshot and while the store does not answer. */
  get fresh(): boolean {
    return this.#fresh;
  }

  /** Returns the function that ends the subscription. */
  onChange(listener: ViewListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Follows until the signal aborts; failures of the store are waited out. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = { clock: this.#clock, logger: this.#logger };
    const step = async (inner: AbortSignal): Promise<void> => {
      await this.#follow(inner);
      await sleepQuietly(clock, FOLLOW_PAUSE_MS, inner);
    };
    await repeatUntilAborted("following the state", step, { clock, logger, signal });
    this.#fresh = false;
  }

  /** Resolves when the view has reached `revision`; `DINP_ABORTED` when the signal aborts first. */
  async reached(revision: Revision, signal: AbortSignal): Promise<void> {
    const news = new Wakeup();
    const unsubscribe = this.onChange(() => {
      news.wake();
    });
    try {
      while (this.#index.revision < revision || !this.#fresh) {
        if (signal.aborted) throw new DinpError("DINP_ABORTED", "The wait for the view was aborted.");
        await news.wait(this.#clock, null, signal);
      }
    } finally {
      unsubscribe();
    }
  }

  /** Resolves when the view shows all that was committed before the call. Errors as those of `snapshot` and `reached`. */
  async catchUp(signal: AbortSignal): Promise<void> {
    const { revision } = await this.#store.snapshot({ kinds: ["router"], signal });
    await this.reached(revision, signal);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    try {
      const snapshot = await this.#store.snapshot({ kinds: viewKinds, signal });
      if (snapshot.revision < this.#index.revision) throw wentBack(this.#index.revision, snapshot.revision);
      this.#index.reset(snapshot);
      this.#fresh = true;
      this.#tell(null, null);
      for await (const event of this.#store.watch({ after: snapshot.revision, kinds: viewKinds, signal })) {
        if (event.type === "reset") return;
        if (event.revision <= this.#index.revision) continue;
        const touched = this.#index.apply(event.revision, event.changes);
        this.#tell(event.changes, touched);
      }
    } finally {
      this.#fresh = false;
    }
  }

  #tell(changes: readonly RecordChange[] | null, touched: Touched | null): void {
    for (const listener of [...this.#listeners]) listener(changes, touched);
  }
}

function wentBack(from: Revision, to: Revision): DinpError {
  return new DinpError(
    "DINP_CORRUPT",
    `The store went back from revision ${String(from)} to ${String(to)}.`,
    {
      hint: "If a backup was restored on purpose, restart this process; otherwise look for a lagging replica.",
    },
  );
}
