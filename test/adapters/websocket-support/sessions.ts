import type { AgentHello, AgentServices, AgentSession, ControlLinkServer, ServerMessage } from "@dinp/core";

export function helloOf(nodeId: string): AgentHello {
  const capacity = { runtime: "none", memoryMb: 1, cpuMillis: 1, programs: null, memoryLimit: "none" };
  return { nodeId, address: "127.0.0.1", capacity, labels: {} };
}

async function* nothing(): AsyncGenerator<never, void, undefined> {
  // It offers nothing.
}

export const noServices: AgentServices = { logs: nothing, exec: nothing, run: nothing };

export function message(epoch: number): ServerMessage {
  return { epoch, assign: [], release: [] };
}

/** Accepts, until it is stopped; each connection is taken in the order of their coming. */
export class Accepting {
  readonly sessions: AgentSession[] = [];
  readonly #ending = new AbortController();
  readonly #done: Promise<void>;
  #wake: () => void = () => undefined;

  constructor(link: ControlLinkServer) {
    this.#done = this.#run(link);
  }

  /** The first `count` connections, once they are there. */
  async take(count: number): Promise<readonly AgentSession[]> {
    while (this.sessions.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.sessions.slice(0, count);
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#done;
  }

  async #run(link: ControlLinkServer): Promise<void> {
    for await (const session of link.accept({ signal: this.#ending.signal })) {
      this.sessions.push(session);
      this.#wake();
    }
  }
}

/** Reads to the end, which must come by itself. */
export async function drained(items: AsyncIterable<unknown>): Promise<void> {
  const reader = items[Symbol.asyncIterator]();
  while ((await reader.next()).done !== true);
}
