import { textFile, tarHead } from "./docker-archive.js";
import type { Engine } from "./engine.js";
import { loadArchive } from "./load-archive.js";

/** An archive that does not come within this time is loaded on a connection of its own. */
const WAIT_MS_MAX = 15_000;

type Archive = AsyncIterable<Uint8Array>;

/**
 * A load that is begun before its archive is there: the engine takes some 40 ms to start the process that unpacks, and does so
 * at an archive's first bytes. At most one waits; nothing is left of one that no archive came for.
 */
export class LoadAhead {
  readonly #engine: Engine;
  readonly #waitMs: number;
  #waiting: BegunLoad | null = null;

  constructor(engine: Engine, waitMs = WAIT_MS_MAX) {
    this.#engine = engine;
    this.#waitMs = waitMs;
  }

  /** Begins a load unless one waits. Never fails: a load that breaks off while it waits is forgotten. */
  begin(): void {
    if (this.#waiting !== null) return;
    const load = new BegunLoad(this.#engine);
    this.#waiting = load;
    const timer = setTimeout(() => {
      load.giveUp();
    }, this.#waitMs);
    load.done
      .catch(() => undefined)
      .finally(() => {
        clearTimeout(timer);
        if (this.#waiting === load) this.#waiting = null;
      });
  }

  /** Loads the archive, by the load that waits if there is one. As {@link loadArchive}. */
  async load(archive: Archive, signal: AbortSignal | undefined): Promise<void> {
    const load = this.#waiting;
    this.#waiting = null;
    if (load !== null && (await load.finish(archive, signal))) return;
    await loadArchive(this.#engine, archive, signal);
  }

  /** Ends what waits. */
  async close(): Promise<void> {
    const load = this.#waiting;
    load?.giveUp();
    await load?.done.catch(() => undefined);
  }
}

/** One load, whose archive has begun with an empty file. */
class BegunLoad {
  readonly done: Promise<void>;
  readonly #stop = new AbortController();
  #give: (archive: Archive | null) => void = () => undefined;
  #isTaken = false;

  constructor(engine: Engine) {
    const coming = new Promise<Archive | null>((resolve) => {
      this.#give = resolve;
    });
    this.done = loadArchive(engine, this.#archive(coming), this.#stop.signal);
  }

  async *#archive(coming: Promise<Archive | null>): AsyncGenerator<Uint8Array, void, undefined> {
    yield* tarHead(textFile("begun", ""));
    const archive = await coming;
    if (archive === null) return;
    this.#isTaken = true;
    yield* archive;
  }

  /** False when the load had broken off before it took a byte of the archive. */
  async finish(archive: Archive, signal: AbortSignal | undefined): Promise<boolean> {
    const end = (): void => {
      this.giveUp();
    };
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted === true) end();
    this.#give(archive);
    try {
      await this.done;
      return true;
    } catch (error) {
      if (this.#isTaken || signal?.aborted === true) throw error;
      return false;
    } finally {
      signal?.removeEventListener("abort", end);
    }
  }

  giveUp(): void {
    this.#stop.abort();
    this.#give(null);
  }
}
