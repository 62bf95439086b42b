import { finished } from "node:stream/promises";
import { DinpError, type Clock } from "@dinp/core";
import type { Containers, InstanceContainer } from "./containers.js";
import type { Engine } from "./engine.js";
import { EngineRefusal, isRefusal } from "./engine-refusal.js";
import { flagAt } from "./json.js";

/** What an instance's first process takes for: ask all to end, and end all (`init/init.c`). */
const ASK = "SIGUSR1";
const END = "SIGUSR2";
/** After its first process was told to end all, and after it was ended itself. */
const END_WAIT_MS = 3_000;
const KILL_WAIT_MS = 30_000;

interface Stop {
  /** Monotonic. */
  killAt: number;
  sooner: AbortController;
  done: Promise<void>;
}

/** The stops that are under way, one for each container: asked again, the earlier end of the graces counts. */
export class Stops {
  readonly #engine: Engine;
  readonly #containers: Containers;
  readonly #clock: Clock;
  readonly #closing: AbortSignal;
  readonly #stops = new Map<string, Stop>();

  constructor(options: {
    readonly engine: Engine;
    readonly containers: Containers;
    readonly clock: Clock;
    readonly closing: AbortSignal;
  }) {
    this.#engine = options.engine;
    this.#containers = options.containers;
    this.#clock = options.clock;
    this.#closing = options.closing;
  }

  /** Resolves when nothing of it runs. */
  stop(container: InstanceContainer, graceMs: number): Promise<void> {
    const killAt = this.#clock.monotonicMs() + graceMs;
    const present = this.#stops.get(container.id);
    if (present !== undefined) {
      if (killAt < present.killAt) {
        present.killAt = killAt;
        present.sooner.abort();
      }
      return present.done;
    }
    this.#containers.noteStop(container.id);
    const stop: Stop = { killAt, sooner: new AbortController(), done: Promise.resolve() };
    this.#stops.set(container.id, stop);
    stop.done = this.#drive(container, stop).finally(() => this.#stops.delete(container.id));
    return stop.done;
  }

  async #drive({ id }: InstanceContainer, stop: Stop): Promise<void> {
    const gone = new AbortController();
    const over = this.#untilOver(id, gone.signal);
    over.catch(() => undefined);
    try {
      if (stop.killAt > this.#clock.monotonicMs()) {
        await this.#kill(id, ASK);
        if (await this.#endsInGrace(stop, over)) return;
      }
      await this.#kill(id, END);
      if (await this.#endsWithin(over, END_WAIT_MS)) return;
      await this.#kill(id, "SIGKILL");
      if (await this.#endsWithin(over, KILL_WAIT_MS)) return;
      throw new DinpError("DINP_UNAVAILABLE", "The engine does not end the instance.", { retryable: true });
    } finally {
      gone.abort();
    }
  }

  async #endsInGrace(stop: Stop, over: Promise<void>): Promise<boolean> {
    for (;;) {
      const leftMs = stop.killAt - this.#clock.monotonicMs();
      if (leftMs <= 0) return false;
      stop.sooner = new AbortController();
      if (await this.#endsWithin(over, leftMs, stop.sooner.signal)) return true;
    }
  }

  /** Rejects with the failure of `over`, and when the runtime closes. */
  async #endsWithin(over: Promise<void>, ms: number, sooner?: AbortSignal): Promise<boolean> {
    const enough = new AbortController();
    const signals = [enough.signal, this.#closing, ...(sooner === undefined ? [] : [sooner])];
    const late = this.#clock.sleep(ms, { signal: AbortSignal.any(signals) }).then(
      () => false,
      () => false,
    );
    try {
      const isOver = await Promise.race([over.then(() => true), late]);
      if (!isOver && this.#closing.aborted)
        throw new DinpError("DINP_CLOSED", "The runtime was closed; the instance goes on as it is.");
      return isOver;
    } finally {
      enough.abort();
    }
  }

  async #kill(id: string, signal: string): Promise<void> {
    try {
      await this.#engine.ask("POST", `/containers/${id}/kill`, { query: { signal } });
    } catch (error) {
      // It does not run any more.
      if (!isRefusal(error, 404, 409)) throw error;
    }
  }

  /** Resolves when the container does not run, or is gone. */
  async #untilOver(id: string, signal: AbortSignal): Promise<void> {
    const query = { condition: "not-running" };
    for (;;) {
      try {
        const stream = await this.#engine.stream("POST", `/containers/${id}/wait`, { query, signal });
        await finished(stream.resume());
        const found = await this.#engine.ask("GET", `/containers/${id}/json`, { signal });
        if (!flagAt(found, "State", "Running")) return;
      } catch (error) {
        if (isRefusal(error, 404)) return;
        throw error instanceof EngineRefusal || error instanceof DinpError ? error : this.#engine.lost(error);
      }
    }
  }
}
