import {
  defaultPlanPolicy,
  Server,
  type AgentReport,
  type InstanceStatus,
  type Logger,
  type RouteTable,
  type ServerSession,
  type StateStore,
} from "@dinp/core";
import { createInProcessControlLink } from "@dinp/core/in-process";
import { createSystemClock, createSystemRandom } from "@dinp/core/system";
import { APPS_DOMAIN, NODE } from "./records.js";

const HEARTBEAT_MS = 1_000;

/** The leading server with all its loops, and one agent that says what it is told to. */
export class ControlPlane {
  readonly #session: ServerSession;
  readonly #control: AbortController;
  readonly #ended: Promise<void>;
  readonly #heart: NodeJS.Timeout;

  private constructor(session: ServerSession, control: AbortController, ended: Promise<void>) {
    this.#session = session;
    this.#control = control;
    this.#ended = ended;
    this.#heart = setInterval(() => {
      this.#report({ nodeId: NODE, full: false, statuses: [] });
    }, HEARTBEAT_MS);
  }

  /** @param statuses Of every instance of the store. */
  static async start(
    store: StateStore,
    table: RouteTable,
    logger: Logger,
    statuses: readonly InstanceStatus[],
  ): Promise<ControlPlane> {
    const link = createInProcessControlLink();
    const clock = createSystemClock();
    const server = new Server({
      ...{ store, table, link, clock, logger, random: createSystemRandom() },
      ...{ policy: defaultPlanPolicy, appsDomain: APPS_DOMAIN, holder: "bench" },
    });
    const control = new AbortController();
    const { signal } = control;
    const ended = server.run(signal);
    ended.catch((error: unknown) => {
      console.error("the server ended", error);
    });
    const session = await connected(() =>
      link.connect(
        {
          ...{ nodeId: NODE, address: "127.0.0.1", labels: {} },
          capacity: {
            memoryMb: 1e6,
            cpuMillis: 1e6,
            runtime: "process",
            programs: null,
            memoryLimit: "none",
          },
        },
        { ...noServices, signal },
      ),
    );
    void drain(session.messages());
    await session.report({ nodeId: NODE, full: true, statuses });
    return new ControlPlane(session, control, ended);
  }

  /** As an agent does when an instance has changed. */
  report(status: InstanceStatus): void {
    this.#report({ nodeId: NODE, full: false, statuses: [status] });
  }

  async stop(): Promise<void> {
    clearInterval(this.#heart);
    this.#control.abort();
    await this.#ended.catch(() => undefined);
  }

  #report(report: AgentReport): void {
    this.#session.report(report).catch((error: unknown) => {
      if (!this.#control.signal.aborted) console.error("the report failed", error);
    });
  }
}

function refuse(): never {
  throw new Error("The bench's agent has no instances.");
}

const noServices = { logs: refuse, exec: refuse, run: refuse };

async function connected<T>(connect: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await connect();
    } catch (error) {
      // The server does not lead yet.
      if (tries > 600) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function drain(messages: AsyncIterable<unknown>): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  while ((await iterator.next()).done !== true);
}
