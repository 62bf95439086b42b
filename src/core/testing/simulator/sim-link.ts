import type {
  AgentHello,
  AgentReport,
  AgentServices,
  AgentSession,
  ControlLink,
  ServerMessage,
  ServerSession,
} from "../../ports/control-link.js";
import { onAbort } from "../../loops/abort.js";
import { DinpError } from "../../model/errors.js";
import { never, type SimProcess, unavailable, type World } from "./sim-process.js";

const CALL_AGAIN_MS = 500;
/** How long an end may take to learn that the other one is gone. */
const HALF_OPEN_MS_MAX = 12_000;

interface Acceptor {
  readonly process: SimProcess;
  readonly admit: (session: AgentSession) => void;
}

/** The network between agents and servers. An agent calls whoever accepts; connections break, also at one end first. */
export class SimNetwork {
  readonly #world: World;
  readonly #acceptors = new Set<Acceptor>();

  constructor(world: World) {
    this.#world = world;
  }

  /** One process's way to the network. */
  linkOf(process: SimProcess): ControlLink {
    return {
      accept: ({ signal }) => this.#accept(process, signal),
      connect: (hello, { signal, ...services }) => this.#connect(process, hello, services, signal),
    };
  }

  async *#accept(process: SimProcess, signal: AbortSignal): AsyncGenerator<AgentSession, void> {
    const arrived: AgentSession[] = [];
    const admitted: AgentSession[] = [];
    let wake: () => void = () => undefined;
    const acceptor: Acceptor = {
      process,
      admit: (session) => {
        arrived.push(session);
        wake();
      },
    };
    const end = (): void => {
      this.#acceptors.delete(acceptor);
      wake();
    };
    this.#acceptors.add(acceptor);
    const detachers = [onAbort(signal, end), onAbort(process.ended, end)];
    try {
      while (!signal.aborted) {
        if (process.isDead) await never();
        const session = arrived.shift();
        if (session === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        } else {
          admitted.push(session);
          yield session;
        }
      }
    } finally {
      end();
      for (const each of detachers) each();
      for (const session of [...admitted, ...arrived]) await session.close();
    }
  }

  async #connect(
    agent: SimProcess,
    hello: AgentHello,
    services: AgentServices,
    signal: AbortSignal,
  ): Promise<ServerSession> {
    for (;;) {
      await agent.call("link", "connect", () => Promise.resolve(), { signal });
      const open = [...this.#acceptors].filter(({ process }) => !process.isDead);
      if (open.length > 0) {
        const { process, admit } = this.#world.faults.random.pick(open);
        const connection = new Connection(this.#world, agent, process);
        admit(connection.serverEnd(hello, services));
        return connection.agentEnd();
      }
      await agent.clock.sleep(CALL_AGAIN_MS, { signal });
    }
  }
}

interface Parcel<T> {
  readonly value: T;
  readonly taken: () => void;
  readonly refused: () => void;
}

/** One end's incoming messages: `send` resolves when the reader has taken the value over. */
class Inbox<T> {
  readonly #parcels: Parcel<T>[] = [];
  readonly #reader: SimProcess;
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(reader: SimProcess) {
    this.#reader = reader;
  }

  put(parcel: Parcel<T>): void {
    if (this.#isClosed) parcel.refused();
    else this.#parcels.push(parcel);
    this.#wake();
  }

  close(): void {
    this.#isClosed = true;
    for (const parcel of this.#parcels.splice(0)) parcel.refused();
    this.#wake();
  }

  async *read(): AsyncGenerator<T, void> {
    for (;;) {
      if (this.#reader.isDead) await never();
      const parcel = this.#parcels.shift();
      if (parcel !== undefined) {
        parcel.taken();
        yield parcel.value;
      } else if (this.#isClosed) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

/** A two-way connection. Each end learns by itself that it is over. */
class Connection {
  readonly #world: World;
  readonly #agent: SimProcess;
  readonly #server: SimProcess;
  readonly #toServer: Inbox<AgentReport>;
  readonly #toAgent: Inbox<ServerMessage>;
  readonly #overFor = new Set<SimProcess>();
  readonly #pending = new Map<SimProcess, Set<() => void>>();
  readonly #detach: () => void;

  constructor(world: World, agent: SimProcess, server: SimProcess) {
    this.#world = world;
    this.#agent = agent;
    this.#server = server;
    this.#toServer = new Inbox(server);
    this.#toAgent = new Inbox(agent);
    const part = (): void => {
      this.#part();
    };
    const detachers = [
      world.faults.onBreak((site, process) => {
        if (site === "link" && (process === null || process === agent.name || process === server.name))
          part();
      }),
      onAbort(agent.ended, part),
      onAbort(server.ended, part),
    ];
    this.#detach = () => {
      for (const each of detachers) each();
    };
  }

  serverEnd(hello: AgentHello, services: AgentServices): AgentSession {
    return {
      ...services,
      hello,
      send: (message) => this.#send(this.#server, this.#agent, this.#toAgent, message),
      reports: () => this.#toServer.read(),
      close: () => this.#close(),
    };
  }

  agentEnd(): ServerSession {
    return {
      report: (report) => this.#send(this.#agent, this.#server, this.#toServer, report),
      messages: () => this.#toAgent.read(),
      close: () => this.#close(),
    };
  }

  async #send<T>(from: SimProcess, to: SimProcess, inbox: Inbox<T>, message: T): Promise<void> {
    if (from.isDead) return never();
    if (this.#overFor.has(from)) throw unavailable();
    const { faults, scheduler } = this.#world;
    const value = structuredClone(message);
    const fate = faults.fate("link", "send", from.name, true);
    if (fate.crash !== null) from.kill();
    if (fate.failure !== null || fate.crash === "before") this.#part();
    return new Promise((resolve, reject) => {
      const pending = this.#pending.get(from) ?? new Set();
      this.#pending.set(from, pending);
      const fail = (): void => {
        pending.delete(fail);
        reject(gone());
      };
      pending.add(fail);
      const taken = (): void => {
        scheduler.after(
          fate.afterMs,
          () => {
            if (pending.delete(fail)) resolve();
          },
          from,
        );
      };
      if (fate.failure === "before") return;
      // What was sent before the connection broke may still arrive.
      scheduler.after(
        fate.beforeMs,
        () => {
          if (!this.#overFor.has(to)) inbox.put({ value, taken, refused: () => undefined });
        },
        to,
      );
    });
  }

  /** It breaks, and each end learns of it in its own time. */
  #part(): void {
    const { faults, scheduler } = this.#world;
    for (const end of [this.#agent, this.#server]) {
      scheduler.after(
        HALF_OPEN_MS_MAX * faults.random.next() ** 3,
        () => {
          this.#learn(end);
        },
        end,
      );
    }
  }

  #learn(end: SimProcess): void {
    if (this.#overFor.has(end)) return;
    this.#overFor.add(end);
    (end === this.#agent ? this.#toAgent : this.#toServer).close();
    for (const fail of [...(this.#pending.get(end) ?? [])]) fail();
    if (this.#overFor.size === 2) this.#detach();
  }

  /** The end that closes knows it at once, the other soon. */
  #close(): Promise<void> {
    this.#learn(this.#agent);
    this.#learn(this.#server);
    return Promise.resolve();
  }
}

function gone(): DinpError {
  return new DinpError("DINP_UNAVAILABLE", "The simulated connection is gone.", { retryable: true });
}
