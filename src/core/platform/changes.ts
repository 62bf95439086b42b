import { DinpError, isDinpError } from "../model/errors.js";
import type { Kind } from "../model/kinds.js";
import type { RecordChange, StateStore } from "../ports/state-store.js";

/** What a watch saw: the changes of one commit, or that it may have missed some. */
export type SeenChange =
  { readonly type: "change"; readonly change: RecordChange } | { readonly type: "missed" };

/** The store's revision now, by the smallest snapshot there is. */
export async function currentRevision(store: StateStore, signal: AbortSignal): Promise<number> {
  return (await store.snapshot({ kinds: ["setting"], signal })).revision;
}

/**
 * Every change of the kinds after `after`, in order. After a gap it says `missed` (read again what you follow) and goes
 * on from the present. Ends without an error when the signal aborts; `DINP_CLOSED` when the store is closed.
 */
export async function* watchChanges(
  store: StateStore,
  kinds: readonly Kind[],
  after: number,
  signal: AbortSignal,
): AsyncGenerator<SeenChange> {
  let revision = after;
  for (;;) {
    let isReset = false;
    for await (const event of store.watch({ after: revision, kinds, signal })) {
      if (event.type === "reset") {
        isReset = true;
        break;
      }
      revision = event.revision;
      for (const change of event.changes) yield { type: "change", change };
    }
    if (!isReset) {
      if (signal.aborted) return;
      throw new DinpError("DINP_CLOSED", "The store was closed.");
    }
    revision = await currentRevision(store, signal);
    yield { type: "missed" };
  }
}

/**
 * Calls that something relevant changed, merged into one while nobody listens: the reader always reads the newest.
 * The watch runs until {@link ChangeBell.close}.
 */
export class ChangeBell {
  readonly #end = new AbortController();
  readonly #pump: Promise<void>;
  #rung = false;
  #failure: { readonly error: unknown } | null = null;
  #isOver = false;
  #wake: (() => void) | null = null;

  constructor(
    store: StateStore,
    kinds: readonly Kind[],
    after: number,
    isRelevant: (change: RecordChange) => boolean,
    signal: AbortSignal,
  ) {
    const both = AbortSignal.any([signal, this.#end.signal]);
    this.#pump = this.#run(watchChanges(store, kinds, after, both), isRelevant, both);
  }

  /** True after the next relevant change (or one since the last call); false when the watch has ended. */
  async next(): Promise<boolean> {
    while (!this.#rung && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#rung) {
      this.#rung = false;
      return true;
    }
    if (this.#failure !== null) throw this.#failure.error;
    return false;
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#pump;
  }

  async #run(
    changes: AsyncIterable<SeenChange>,
    isRelevant: (change: RecordChange) => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      for await (const seen of changes) {
        if (seen.type === "missed" || isRelevant(seen.change)) this.#ring();
      }
    } catch (error) {
      if (!(signal.aborted && isDinpError(error, "DINP_ABORTED"))) this.#failure = { error };
    }
    this.#isOver = true;
    this.#wake?.();
  }

  #ring(): void {
    this.#rung = true;
    this.#wake?.();
  }
}
