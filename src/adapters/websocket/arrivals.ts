import type { AgentConnection } from "./agent-connection.js";
import { closeCodes } from "./close-codes.js";

/** Agents that said who they are and wait for a server that accepts them. */
export class Arrivals {
  readonly #waiting: AgentConnection[] = [];
  readonly #acceptors = new Set<() => void>();
  #accepting = 0;

  /** Whether somebody accepts. */
  get isOpen(): boolean {
    return this.#accepting > 0;
  }

  add(connection: AgentConnection): void {
    this.#waiting.push(connection);
    for (const wake of [...this.#acceptors]) wake();
  }

  /** Somebody accepts until the returned function is called. */
  open(): () => void {
    this.#accepting += 1;
    return () => {
      this.#accepting -= 1;
      if (this.isOpen) return;
      for (const each of this.#waiting.splice(0))
        void each.end(closeCodes.goingAway, "this server does not lead any more");
    };
  }

  /** The next one that is still there; null when the signal aborts. */
  async next(signal: AbortSignal): Promise<AgentConnection | null> {
    while (!signal.aborted) {
      const connection = this.#waiting.shift();
      if (connection?.isOpen === true) return connection;
      if (connection === undefined) await this.#knock(signal);
    }
    return null;
  }

  async #knock(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        signal.removeEventListener("abort", done);
        this.#acceptors.delete(done);
        resolve();
      };
      this.#acceptors.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
