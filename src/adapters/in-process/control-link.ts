import {
  type AgentHello,
  type AgentReport,
  type AgentServices,
  type AgentSession,
  type ControlLink,
  DinpError,
  type ServerMessage,
  type ServerSession,
} from "@dinp/core";
import { Channel } from "./channel.js";
import { untilClosed } from "./until-closed.js";

/** An agent that wants to be let in. */
interface Arrival {
  readonly session: AgentSession;
  readonly admitted: () => void;
  readonly isClosed: () => boolean;
}

/** A {@link ControlLink} between a server and the agents of one process. */
export class InProcessControlLink implements ControlLink {
  readonly #arrivals = new Set<Arrival>();
  /** Wakes whoever accepts. */
  readonly #knocks = new Set<() => void>();

  /** Connections as they come, until the signal aborts; then every connection that it yielded is closed. */
  async *accept(options: { readonly signal: AbortSignal }): AsyncIterable<AgentSession> {
    const { signal } = options;
    const admitted = new Set<Arrival>();
    try {
      while (!signal.aborted) {
        const [arrival] = this.#arrivals;
        if (arrival === undefined) {
          await this.#nextKnock(signal);
          continue;
        }
        this.#arrivals.delete(arrival);
        for (const other of admitted) if (other.isClosed()) admitted.delete(other);
        admitted.add(arrival);
        arrival.admitted();
        yield arrival.session;
      }
    } finally {
      for (const { session } of admitted) await session.close();
    }
  }

  /** Waits until a server accepts. `DINP_ABORTED` when the signal aborts first. */
  async connect(
    hello: AgentHello,
    options: AgentServices & { readonly signal: AbortSignal },
  ): Promise<ServerSession> {
    const toServer = new Channel<AgentReport>();
    const toAgent = new Channel<ServerMessage>();
    const closing = new AbortController();
    const { signal: closed } = closing;
    const close = (): Promise<void> => {
      closing.abort();
      toServer.close();
      toAgent.close();
      return Promise.resolve();
    };
    await this.#admission(
      {
        hello: structuredClone(hello),
        send: (message) => toAgent.send(structuredClone(message)),
        reports: () => toServer,
        logs: (request) => untilClosed(options.logs, request, closed),
        exec: (request) => untilClosed(options.exec, request, closed),
        run: (request) => untilClosed(options.run, request, closed),
        close,
      },
      () => closed.aborted,
      options.signal,
    );
    return { report: (report) => toServer.send(structuredClone(report)), messages: () => toAgent, close };
  }

  #admission(session: AgentSession, isClosed: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const arrival: Arrival = {
        session,
        isClosed,
        admitted: () => {
          signal.removeEventListener("abort", abort);
          resolve();
        },
      };
      const abort = (): void => {
        this.#arrivals.delete(arrival);
        reject(new DinpError("DINP_ABORTED", "The connection to the server was given up."));
      };
      if (signal.aborted) {
        abort();
        return;
      }
      signal.addEventListener("abort", abort, { once: true });
      this.#arrivals.add(arrival);
      for (const knock of [...this.#knocks]) knock();
    });
  }

  async #nextKnock(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        signal.removeEventListener("abort", done);
        this.#knocks.delete(done);
        resolve();
      };
      this.#knocks.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

/** Creates the {@link ControlLink} of a single-process platform. */
export function createInProcessControlLink(): ControlLink {
  return new InProcessControlLink();
}
