import {
  messageOf,
  type AgentExecRequest,
  type AgentHello,
  type AgentReport,
  type AgentRunRequest,
  type AgentSession,
  type ExecEvent,
  type LogLine,
  type LogRequest,
  type ServerMessage,
} from "@dinp/core";
import { closeCodes, type LinkEnd } from "./close-codes.js";
import { connectionGone } from "./failures.js";
import type { FrameSocket } from "./frame-socket.js";
import { encodeFrame, type AgentFrame, type Incoming } from "./frames.js";
import type { Greeting } from "./greeting.js";
import { Inbox, Outbox } from "./mailbox.js";
import { RemoteStreams, type OutgoingCall } from "./remote-streams.js";

/** What a connection asks of the server that it belongs to. */
export interface AgentConnectionOwner {
  /** Takes the new key of the agent; resolves when it is valid. */
  readonly rotate: (keyHash: string) => Promise<void>;
  readonly onRefusedRotation: (why: string) => void;
  /** Once. */
  readonly onEnd: (end: LinkEnd) => void;
}

/** The server's end of an agent's connection. */
export class AgentConnection implements AgentSession {
  readonly hello: AgentHello;
  /** Names the agent's process. */
  readonly agentRun: string;
  readonly #socket: FrameSocket<AgentFrame>;
  readonly #start: number;
  readonly #owner: AgentConnectionOwner;
  readonly #outbox: Outbox;
  readonly #reports: Inbox<AgentReport>;
  readonly #streams: RemoteStreams;
  #isRotating = false;

  constructor({ socket, hello, start }: Greeting, owner: AgentConnectionOwner) {
    this.hello = hello.hello;
    this.agentRun = hello.run;
    this.#socket = socket;
    this.#start = start;
    this.#owner = owner;
    this.#outbox = new Outbox((encoded) => socket.write(encoded).n);
    this.#reports = new Inbox((of) => {
      socket.write(encodeFrame({ t: "taken", of }));
    });
    this.#streams = new RemoteStreams((encoded) => {
      socket.write(encoded);
    });
    socket.listener = {
      onFrame: (incoming) => {
        this.#take(incoming);
      },
      onEnd: (end) => {
        this.#end(end);
      },
    };
    if (socket.end !== null) this.#end(socket.end);
  }

  get isOpen(): boolean {
    return this.#socket.end === null;
  }

  /** Lets the agent know that it was accepted. */
  welcome(): void {
    this.#socket.write(encodeFrame({ t: "welcome", start: this.#start }));
  }

  send(message: ServerMessage): Promise<void> {
    return this.#outbox.send(encodeFrame({ t: "message", message }));
  }

  reports(): AsyncIterable<AgentReport> {
    return this.#reports;
  }

  async *logs({ signal, ...request }: LogRequest): AsyncGenerator<LogLine, void, undefined> {
    const { instanceId, tail, follow } = request;
    const call: OutgoingCall = { kind: "logs", request: { instanceId, tail, follow } };
    for await (const item of this.#streams.read(call, signal)) if ("line" in item) yield item.line;
  }

  exec({ signal, ...request }: AgentExecRequest): AsyncIterable<ExecEvent> {
    return this.#events({ kind: "exec", request }, signal);
  }

  run({ signal, ...request }: AgentRunRequest): AsyncIterable<ExecEvent> {
    return this.#events({ kind: "run", request }, signal);
  }

  close(): Promise<void> {
    return this.end(closeCodes.normal, "the server closed it");
  }

  /** Ends the connection, and tells the agent why. Idempotent. */
  end(code: number, reason: string): Promise<void> {
    return this.#socket.close(code, reason);
  }

  async *#events(call: OutgoingCall, signal: AbortSignal): AsyncGenerator<ExecEvent, void, undefined> {
    for await (const item of this.#streams.read(call, signal)) if ("event" in item) yield item.event;
  }

  #take({ frame, n, bytes }: Incoming<AgentFrame>): void {
    switch (frame.t) {
      case "report":
        this.#assertOwn(frame.report);
        this.#reports.put(n, frame.report);
        return;
      case "taken":
        this.#outbox.taken(frame.of);
        return;
      case "item":
        this.#streams.item(frame.stream, frame.item, bytes);
        return;
      case "end":
        this.#streams.ended(frame.stream);
        return;
      case "fail":
        this.#streams.failed(frame.stream, frame.error);
        return;
      case "rotate":
        void this.#rotate(frame.keyHash);
        return;
      case "hello":
        throw new Error("hello came twice");
    }
  }

  /** A node speaks for itself alone. */
  #assertOwn({ nodeId, statuses }: AgentReport): void {
    const isOwn = (each: string): boolean => each === this.hello.nodeId;
    if (!isOwn(nodeId) || !statuses.every((status) => isOwn(status.nodeId)))
      throw new Error("a report about another node");
  }

  /** Never rejects. */
  async #rotate(keyHash: string): Promise<void> {
    if (this.#isRotating) return;
    this.#isRotating = true;
    try {
      await this.#owner.rotate(keyHash);
      this.#socket.write(encodeFrame({ t: "rotated", keyHash }));
    } catch (error) {
      this.#owner.onRefusedRotation(messageOf(error));
    } finally {
      this.#isRotating = false;
    }
  }

  #end(end: LinkEnd): void {
    const error = connectionGone(end.reason);
    this.#outbox.end(error);
    this.#reports.end();
    this.#streams.end(error);
    this.#owner.onEnd(end);
  }
}
