import type { RouteTableEvent, RouteTableVersion } from "@dinp/core";
import { Hints } from "./hints.js";
import type { TableKeys } from "./keys.js";
import type { Settings } from "./options.js";
import { patiently, Pauses } from "./pauses.js";
import { PushedSteps } from "./pushed-steps.js";
import type { TableReader } from "./table-reader.js";

/**
 * What comes after a version, for all watches of one object. Redis's messages bring most of it. The history is asked when they may
 * have left something out: at the beginning, when there is a connection again, when a message does not lead on from where a
 * watch is, and when nothing was heard for `pollMs`.
 */
export class TableFeed {
  readonly #reader: TableReader;
  readonly #pollMs: number;
  readonly #hints: Hints;
  readonly #pushed: PushedSteps;
  /** Counts what may not have come by message. */
  #doubts = 0;

  constructor(settings: Settings, keys: TableKeys, reader: TableReader) {
    this.#reader = reader;
    this.#pollMs = settings.pollMs;
    this.#pushed = new PushedSteps(keys.pattern);
    this.#hints = new Hints(settings, {
      channel: keys.changed,
      name: "new routes",
      onMessage: (text) => {
        if (!this.#pushed.take(text)) this.#doubts += 1;
      },
      onListening: () => {
        this.#pushed.clear();
        this.#doubts += 1;
      },
    });
  }

  /** Ends when the signal aborts, and after a `reset`. */
  async *watch(after: RouteTableVersion, signal: AbortSignal): AsyncGenerator<RouteTableEvent, void> {
    const stopListening = this.#hints.listen();
    try {
      yield* this.#events(after, signal);
    } finally {
      stopListening();
    }
  }

  close(): Promise<void> {
    return this.#hints.close();
  }

  async *#events(after: RouteTableVersion, signal: AbortSignal): AsyncGenerator<RouteTableEvent, void> {
    const { told } = this.#hints;
    const pauses = new Pauses();
    let at = after;
    let isUnsure = true;
    let doubts = this.#doubts;
    while (!signal.aborted) {
      const { version: seen } = told;
      isUnsure ||= doubts !== this.#doubts;
      let steps = this.#pushed.after(at);
      if (steps.length === 0 && (isUnsure || !this.#pushed.isAt(at))) {
        doubts = this.#doubts;
        const later = await patiently(() => this.#reader.later(at, signal), pauses, signal);
        if (later === undefined) continue;
        if (later.kind === "reset") {
          yield { type: "reset" };
          return;
        }
        // There may be more than were asked for at once.
        isUnsure = later.kind === "steps";
        if (later.kind === "steps") ({ steps } = later);
      }
      for (const { version, changes } of steps) {
        if (isOver(signal)) return;
        at = version;
        yield Object.freeze({ type: "changes", version, changes });
      }
      if (steps.length > 0) continue;
      await told.changedSince(seen, signal, this.#pollMs);
      isUnsure = told.version === seen;
    }
  }
}

function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}
