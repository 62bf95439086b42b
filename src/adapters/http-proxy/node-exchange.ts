import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** One request of a `node:http` server, as it is handed to a forwarder. */
export interface NodeExchange {
  /** Method, version, framing and body are taken from it. */
  readonly request: IncomingMessage;
  /**
   * Where the answer goes. Fields that are set on it beforehand are sent and win over the endpoint's of the same name.
   * For an upgrade it is assigned to the connection, and must close it after an answer other than 101.
   */
  readonly response: ServerResponse;
  /** The request-target to send: origin form or `*` (RFC 9112 section 3.2), without spaces or control characters. */
  readonly target: string;
  /** Names and values by turns, as in `rawHeaders`. Framing and hop-by-hop fields among them are not forwarded. */
  readonly fields: readonly string[];
  /** Set when the client asks for a WebSocket (RFC 6455): its connection and what it sent already. */
  readonly upgrade: { readonly socket: Duplex; readonly head: Uint8Array } | null;
}
