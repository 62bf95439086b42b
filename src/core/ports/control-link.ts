import type {
  AppGrants,
  ImageRef,
  InstanceId,
  InstanceStatus,
  NodeId,
  Placement,
  Release,
} from "../model/records.js";
import type { ExecEvent, ExecOptions, LogLine, RuntimeCapacity } from "./runtime.js";

/** A placement with all that the agent needs to carry it out. */
export interface Assignment {
  readonly placement: Placement;
  readonly appName: string;
  readonly release: Release;
  /** What the app may do beyond the runtime's defaults when an instance starts. Absent: nothing. */
  readonly grants?: AppGrants;
  /** The release's secrets, opened, by variable; told only of an instance that is still to be started. Absent: not told. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Why the instance cannot be started: the agent ends it for that reason. Absent: it can. */
  readonly unstartable?: string;
  /** What the server last knew of the instance: an agent that adopts it goes on from there. */
  readonly lastStatus: InstanceStatus | null;
}

export interface AgentHello {
  readonly nodeId: NodeId;
  readonly address: string;
  readonly capacity: RuntimeCapacity;
  /** As many as there are ports; absent: not known. */
  readonly instancesMax?: number;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Server → agent. `assign`: set or change these placements. `release`: these exact instances have ended and no router
 * knows them any more: forget them and free their ports (an agent never removes a running one for it). What is not
 * named stays as it is. The first message of a session names all placements of the node.
 * `keepImages`: the node may drop every image but these, those of its instances and what it was asked for lately; absent: it
 * drops none.
 * Messages of an epoch below the highest that the agent has seen are refused.
 */
export interface ServerMessage {
  readonly epoch: number;
  readonly assign: readonly Assignment[];
  readonly release: readonly InstanceId[];
  readonly keepImages?: readonly ImageRef[];
}

/** Agent → server. `full`: every instance that the agent knows. Otherwise: those that changed. Empty: a heartbeat. */
export interface AgentReport {
  readonly nodeId: NodeId;
  readonly full: boolean;
  readonly statuses: readonly InstanceStatus[];
}

export interface LogRequest {
  readonly instanceId: InstanceId;
  readonly tail: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** A command beside an instance: see `Runtime.exec`. */
export interface AgentExecRequest extends ExecOptions {
  readonly instanceId: InstanceId;
}

/** A command as a one-off of a release, with its `secrets`: see `Runtime.run`. The agent prepares the image. */
export interface AgentRunRequest extends ExecOptions {
  /** Names the one-off; no instance's. */
  readonly runId: string;
  readonly appName: string;
  readonly release: Release;
  readonly grants?: AppGrants;
}

/**
 * What an agent does for the server besides its placements. Each stream ends with its signal, which aborts when the server's
 * does, when the server reads no further, and when the connection ends.
 */
export interface AgentServices {
  readonly logs: (request: LogRequest) => AsyncIterable<LogLine>;
  readonly exec: (request: AgentExecRequest) => AsyncIterable<ExecEvent>;
  readonly run: (request: AgentRunRequest) => AsyncIterable<ExecEvent>;
}

/**
 * The server's end of one agent's connection. Its streams (`logs`, `exec`, `run`) begin when the first item is asked for, are
 * read little further than their items are taken, and tell the agent's errors as they were; a slow reader of one holds up
 * nothing else. They reject with `DINP_UNAVAILABLE` when the connection ends before they do.
 */
export interface AgentSession {
  readonly hello: AgentHello;
  /** Resolves when the agent has taken the message over. `DINP_UNAVAILABLE` when the connection is gone. */
  send(message: ServerMessage): Promise<void>;
  /** Reports in order; ends when the connection does. To be read once. */
  reports(): AsyncIterable<AgentReport>;
  logs(request: LogRequest): AsyncIterable<LogLine>;
  exec(request: AgentExecRequest): AsyncIterable<ExecEvent>;
  run(request: AgentRunRequest): AsyncIterable<ExecEvent>;
  /** Ends the connection. Idempotent; never rejects. */
  close(): Promise<void>;
}

/** The agent's end. */
export interface ServerSession {
  /** Resolves when the server has taken the report over. `DINP_UNAVAILABLE` when the connection is gone. */
  report(report: AgentReport): Promise<void>;
  /** Messages in order; ends when the connection does. To be read once. */
  messages(): AsyncIterable<ServerMessage>;
  /** Ends the connection. Idempotent; never rejects. */
  close(): Promise<void>;
}

/** The side of the leading server. */
export interface ControlLinkServer {
  /** Connections as they come, until the signal aborts; then every connection that it yielded is closed. */
  accept(options: { readonly signal: AbortSignal }): AsyncIterable<AgentSession>;
}

/** The side of an agent. */
export interface ControlLinkClient {
  /**
   * Resolves when a server has accepted. `DINP_UNAVAILABLE` (retryable) when none could be reached or none accepts now,
   * `DINP_ABORTED`; where agents have credentials, `DINP_UNAUTHENTICATED` and `DINP_FORBIDDEN` say what is wrong with them.
   */
  connect(
    hello: AgentHello,
    options: AgentServices & { readonly signal: AbortSignal },
  ): Promise<ServerSession>;
}

/** How agents and the leading server reach each other: the agent calls, the server accepts. */
export interface ControlLink extends ControlLinkServer, ControlLinkClient {}
