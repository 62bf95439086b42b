import type { AgentReport, AgentServices, ServerMessage, ServerSession } from "@dinp/core";
import { closeCodes, type LinkEnd } from "./close-codes.js";
import { connectionGone } from "./failures.js";
import type { FrameSocket } from "./frame-socket.js";
import { encodeFrame, type Incoming, type ServerFrame } from "./frames.js";
import { Inbox, Outbox } from "./mailbox.js";
import { ServedStreams } from "./served-streams.js";

export interface ServerConnectionOwner {
  /** The server takes the key with this hash from now on. */
  readonly onRotated: (keyHash: string) => void;
  /** Once. */
  readonly onEnd: (end: LinkEnd) => void;
}

/** The agent's end of its connection. */
export class ServerConnection implements ServerSession {
  readonly #socket: FrameSocket<ServerFrame>;
  readonly #owner: ServerConnectionOwner;
  readonly #outbox: Outbox;
  readonly #messages: Inbox<ServerMessage>;
  readonly #streams: ServedStreams;

  constructor(socket: FrameSocket<ServerFrame>, services: AgentServices, owner: ServerConnectionOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.#outbox = new Outbox((encoded) => socket.write(encoded).n);
    this.#messages = new Inbox((of) => {
      socket.write(encodeFrame({ t: "taken", of }));
    });
    this.#streams = new ServedStreams(services, (encoded) => socket.write(encoded));
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

  report(report: AgentReport): Promise<void> {
    return this.#outbox.send(encodeFrame({ t: "report", report }));
  }

  messages(): AsyncIterable<ServerMessage> {
    return this.#messages;
  }

  /** Offers the server another key. */
  rotate(keyHash: string): void {
    this.#socket.write(encodeFrame({ t: "rotate", keyHash }));
  }

  close(): Promise<void> {
    return this.#socket.close(closeCodes.normal, "the agent closed it");
  }

  #take({ frame, n }: Incoming<ServerFrame>): void {
    switch (frame.t) {
      case "message":
        this.#messages.put(n, frame.message);
        return;
      case "taken":
        this.#outbox.taken(frame.of);
        return;
      case "open":
        this.#streams.open(frame.stream, frame.call);
        return;
      case "credit":
        this.#streams.credit(frame.stream, frame.bytes);
        return;
      case "cancel":
        this.#streams.cancel(frame.stream);
        return;
      case "rotated":
        this.#owner.onRotated(frame.keyHash);
        return;
      case "welcome":
        throw new Error("welcome came twice");
    }
  }

  #end(end: LinkEnd): void {
    this.#outbox.end(connectionGone(end.reason));
    this.#messages.end();
    this.#streams.end();
    this.#owner.onEnd(end);
  }
}
