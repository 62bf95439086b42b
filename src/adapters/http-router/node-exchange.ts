import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** One request, as the router hands it to its forwarder. */
export interface NodeExchange {
  /** Method, version, framing and body; its framing has been checked. */
  readonly request: IncomingMessage;
  /**
   * Where the answer goes; the fields that are set on it win over the endpoint's of the same name. For an upgrade it is
   * assigned to the connection and closes it after its end.
   */
  readonly response: ServerResponse;
  /** The request-target to send, as it came: origin form or `*` (RFC 9112 section 3.2). */
  readonly target: string;
  /** Names and values by turns: the client's fields without those that only a router may set. */
  readonly fields: readonly string[];
  /** Set when the client asks for a WebSocket (RFC 6455): its connection and what it sent already. */
  readonly upgrade: { readonly socket: Duplex; readonly head: Uint8Array } | null;
}
