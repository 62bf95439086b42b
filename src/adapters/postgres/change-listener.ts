import { setTimeout as delay } from "node:timers/promises";
import type { PoolBounds } from "../sql/index.js";
import { createClient, type Driver, type ServerPlace } from "./driver.js";

export interface ChangeListenerOptions {
  readonly driver: Driver;
  readonly place: ServerPlace;
  readonly bounds: Pick<PoolBounds, "connectMs" | "statementMs">;
  readonly onHint: () => void;
}

/** What commits are announced on. Other stores of the database do so, too: it is a hint. */
export const CHANNEL = "dinp_commits";

const PAUSE_MS_MIN = 200;
const PAUSE_MS_MAX = 10_000;

/** Tells of other processes' commits at once, over a connection of its own that is made anew when it is lost. */
export class ChangeListener {
  readonly #options: ChangeListenerOptions;
  readonly #closing = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: ChangeListenerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let pauseMs = PAUSE_MS_MIN;
    while (!signal.aborted) {
      const didListen = await this.#listen(signal);
      pauseMs = didListen ? PAUSE_MS_MIN : Math.min(PAUSE_MS_MAX, 2 * pauseMs);
      await delay(pauseMs, null, { signal }).catch(() => null);
    }
  }

  /** Listens until the connection is lost; false when it was not made. Meanwhile watches poll. */
  async #listen(signal: AbortSignal): Promise<boolean> {
    const { driver, place, bounds, onHint } = this.#options;
    const { connectMs, statementMs } = bounds;
    const client = createClient(driver, place, {
      connectionTimeoutMillis: connectMs,
      query_timeout: statementMs,
    });
    const end = (): void => {
      client.connection.stream.destroy();
    };
    const ended = new Promise<void>((resolve) => {
      client.once("end", () => {
        resolve();
      });
    });
    client.on("notification", onHint);
    signal.addEventListener("abort", end);
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      // What was committed before it listened.
      onHint();
      await ended;
      return true;
    } catch {
      return false;
    } finally {
      signal.removeEventListener("abort", end);
      end();
    }
  }
}
