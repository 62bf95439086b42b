import { messageOf } from "@dinp/core";
import { connectClient, type RedisClient } from "./client.js";
import { orAborted } from "./link.js";
import type { Settings } from "./options.js";
import { Pauses } from "./pauses.js";
import { WakeUp } from "./wake-up.js";
import { within } from "./within.js";

/** What Redis tells of on one channel. */
export interface HintsSubject {
  readonly channel: string;
  /** For people: "new routes". */
  readonly name: string;
  /** What came, before anyone is woken. */
  readonly onMessage?: (text: string) => void;
  /** Messages come from now on; some may have been missed. */
  readonly onListening?: () => void;
}

/**
 * What Redis tells by itself, of one subject: that there may be something new. It has a connection of its own for as long as someone
 * watches, and hears of nothing else on it: of what all routers say, no router is to be told. Redis does not say what it told
 * while there was no connection: so whenever there is one again, everyone is woken.
 */
export class Hints {
  readonly told = new WakeUp();
  readonly #settings: Settings;
  readonly #subject: HintsSubject;
  #watchers = 0;
  #running: { readonly controller: AbortController; readonly done: Promise<void> } | null = null;

  constructor(settings: Settings, subject: HintsSubject) {
    this.#settings = settings;
    this.#subject = subject;
  }

  /** Begins to listen, when nobody did yet; each call needs one of the function that it gives. */
  listen(): () => void {
    this.#watchers += 1;
    this.#running ??= this.#start();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#watchers -= 1;
      if (this.#watchers === 0) this.#stop();
    };
  }

  /** Resolves when nothing is left of it. */
  async close(): Promise<void> {
    const running = this.#running;
    this.#stop();
    await running?.done;
  }

  #start(): { readonly controller: AbortController; readonly done: Promise<void> } {
    const controller = new AbortController();
    return { controller, done: this.#run(controller.signal) };
  }

  #stop(): void {
    this.#running?.controller.abort();
    this.#running = null;
  }

  /** Never rejects. */
  async #run(signal: AbortSignal): Promise<void> {
    const pauses = new Pauses();
    let isLost = false;
    while (!signal.aborted) {
      const began = performance.now();
      try {
        await this.#listenOnce(signal, () => {
          if (isLost) this.#settings.logger?.info(`Redis tells of ${this.#subject.name} again`);
          isLost = false;
        });
      } catch (error) {
        if (isStopped(signal)) return;
        if (!isLost) {
          this.#settings.logger?.warn(
            `Redis tells nothing of ${this.#subject.name}; it is asked for them, and tried again`,
            {
              error: messageOf(error),
            },
          );
        }
        isLost = true;
      }
      if (performance.now() - began > this.#settings.pollMs) pauses.succeeded();
      await pauses.pause(signal);
    }
  }

  /** Until the connection is lost, or the signal aborts: it rejects with why. */
  async #listenOnce(signal: AbortSignal, onListening: () => void): Promise<void> {
    const { place, connectTimeoutMs } = this.#settings;
    const connecting = connectClient(place, connectTimeoutMs);
    let client: RedisClient | null = null;
    try {
      client = await orAborted(connecting, signal);
      await this.#listenOn(client, signal, onListening);
    } finally {
      if (client === null) disconnectLater(connecting);
      else client.disconnect();
    }
  }

  async #listenOn(client: RedisClient, signal: AbortSignal, onListening: () => void): Promise<never> {
    const { commandTimeoutMs, pollMs } = this.#settings;
    const lost = new AbortController();
    client.on("end", () => {
      lost.abort(new Error("the connection was lost"));
    });
    client.on("message", (_channel, text) => {
      this.#subject.onMessage?.(text);
      this.told.notify();
    });
    const either = AbortSignal.any([signal, lost.signal]);
    try {
      await orAborted(within(client.subscribe(this.#subject.channel), commandTimeoutMs), either);
      onListening();
      this.#subject.onListening?.();
      this.told.notify();
      const ticks = new WakeUp();
      for (;;) {
        await ticks.changedSince(ticks.version, either, pollMs);
        // A connection whose other end is gone without a word looks like one that has nothing to tell.
        await orAborted(within(client.ping(), commandTimeoutMs), either);
      }
    } catch (error) {
      throw lost.signal.aborted ? lost.signal.reason : error;
    }
  }
}

function isStopped(signal: AbortSignal): boolean {
  return signal.aborted;
}

function disconnectLater(connecting: Promise<RedisClient>): void {
  connecting.then(
    (client) => {
      client.disconnect();
    },
    () => undefined,
  );
}
