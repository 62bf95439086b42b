import type { AppGrants, InstanceStatus, NodeId, Release } from "../model/records.js";
import { defaultCheck } from "../model/defaults.js";
import { isDinpError } from "../model/errors.js";
import type {
  AgentHello,
  AgentReport,
  AgentServices,
  AgentSession,
  Assignment,
  ControlLinkClient,
  ControlLinkServer,
  ServerMessage,
  ServerSession,
} from "../ports/control-link.js";
import { collect, later, letOthersRun, Reader, within } from "./conformance.js";
import { samplePlacement } from "./sample-records.js";

/** What the suite needs of the link under test; one is made for each case. */
export interface ControlLinkHarness {
  readonly server: ControlLinkServer;
  /** The link of one node's agent, with whatever it needs to be let in. Asked once for each node. */
  agent(nodeId: NodeId): Promise<ControlLinkClient>;
  /** Breaks every connection that there is, at both ends, without a word. Null where the suite is told so. */
  readonly cut: (() => Promise<void>) | null;
  dispose(): Promise<void>;
}

/** What only some links can be asked to show. */
export interface ControlLinkSupports {
  /** The harness can break connections. */
  readonly cut: boolean;
}

export interface LinkCase {
  readonly name: string;
  readonly requires?: keyof ControlLinkSupports;
  readonly stays?: string;
  readonly body: (bench: LinkBench) => Promise<void>;
}

export function linkCase(
  name: string,
  body: (bench: LinkBench) => Promise<void>,
  more: Partial<LinkCase> = {},
): LinkCase {
  return { name, body, ...more };
}

/** Both ends of one connection. */
export interface LinkPair {
  readonly server: AgentSession;
  readonly agent: ServerSession;
}

/** A server that accepts, and agents that call it. */
export class LinkBench {
  readonly harness: ControlLinkHarness;
  /** Of every agent. */
  readonly #callers = new Set<AbortController>();
  readonly #accepting = new AbortController();
  #sessions: Reader<AgentSession> | null = null;

  constructor(harness: ControlLinkHarness) {
    this.harness = harness;
  }

  /** Connections as the server gets them. */
  get sessions(): Reader<AgentSession> {
    this.#sessions ??= new Reader(this.harness.server.accept({ signal: this.#accepting.signal }));
    return this.#sessions;
  }

  stopAccepting(): void {
    this.#accepting.abort();
  }

  /** Connects an agent that offers these services. */
  async pair(hello = helloOf("node-1"), services: Partial<AgentServices> = {}): Promise<LinkPair> {
    const client = await this.harness.agent(hello.nodeId);
    const server = later(this.sessions.next());
    const agent = await within(this.connect(client, hello, services), "an agent's connection");
    return { server: await server, agent };
  }

  /** Tries until a server accepts. */
  async connect(
    client: ControlLinkClient,
    hello: AgentHello,
    services: Partial<AgentServices> = {},
    given?: AbortSignal,
  ): Promise<ServerSession> {
    const signal = given ?? this.#callerSignal();
    for (;;) {
      try {
        return await client.connect(hello, { ...noServices, ...services, signal });
      } catch (error) {
        if (!isDinpError(error, "DINP_UNAVAILABLE")) throw error;
        // None accepts yet; the next timer's turn is soon enough.
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  }

  /** Lets all that was sent before go its way: an answer from the other end comes after it. */
  async roundTrip(session: AgentSession): Promise<void> {
    const signal = this.#callerSignal();
    await collect(session.logs({ instanceId: "round-trip", tail: 0, follow: false, signal }));
    await letOthersRun(100);
  }

  close(): void {
    this.#accepting.abort();
    for (const caller of this.#callers) caller.abort();
  }

  #callerSignal(): AbortSignal {
    const caller = new AbortController();
    this.#callers.add(caller);
    return caller.signal;
  }
}

/** A promise that the case resolves. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    opened,
    open: () => {
      open();
    },
  };
}

export function helloOf(nodeId: NodeId): AgentHello {
  return {
    nodeId,
    address: "10.0.0.7",
    capacity: { runtime: "none", memoryMb: 512, cpuMillis: 2_000, programs: ["node"], memoryLimit: "none" },
    instancesMax: 10,
    labels: { "zone.example/rack": "r 1", ünïcode: "✓" },
  };
}

export function statusOf(instanceId: string, seq = 1): InstanceStatus {
  return {
    ...{
      instanceId,
      appId: "app-1",
      releaseId: "release-1",
      nodeId: "node-1",
      phase: "exited",
      ready: false,
    },
    ...{
      readyAt: null,
      endpoint: { instanceId, host: "10.0.0.7", port: 20_001 },
      startedAt: 5,
      reason: "why",
    },
    exit: {
      at: 9,
      cause: "exited",
      code: null,
      signal: "SIGSEGV",
      message: "it fell",
      logTail: ["a", "\u001b[1mb"],
    },
    seq,
  };
}

export function reportOf(...instanceIds: readonly string[]): AgentReport {
  return { nodeId: "node-1", full: false, statuses: instanceIds.map((id) => statusOf(id)) };
}

export function messageOf(epoch: number, ...instanceIds: readonly string[]): ServerMessage {
  const message = { epoch, assign: instanceIds.map(assignmentOf), release: [], keepImages: [sampleImage] };
  return structuredClone(message);
}

export const sampleImage = { repository: "apps/web", digest: `sha256:${"ab".repeat(32)}` };

export const sampleGrants: AppGrants = { user: "image", capabilities: ["NET_BIND_SERVICE"], pidsMax: 7 };

export const sampleRelease: Release = {
  ...{ id: "release-1", appId: "app-1", number: 3, image: sampleImage, template: "node" },
  ...{
    command: ["node", "server.js"],
    requires: ["node"],
    env: { A: "1", LONG: "ü\n\u0000" },
    manifestEnv: {},
  },
  ...{ memoryMb: 64, cpuMillis: 100, check: defaultCheck, stopGraceMs: 1, drainMs: 2, buildId: null },
  ...{ createdAt: 4, createdBy: "someone", note: "push" },
};

function assignmentOf(instanceId: string): Assignment {
  return {
    placement: samplePlacement(instanceId, "app-1", "node-1"),
    appName: "web",
    release: sampleRelease,
    grants: sampleGrants,
    lastStatus: statusOf(instanceId),
  };
}

const noServices: AgentServices = {
  logs: nothing,
  exec: nothing,
  run: nothing,
};

async function* nothing(): AsyncGenerator<never, void, undefined> {
  // An agent that offers nothing.
}
