import type { Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { ControlLinkServer, LocalState, Logger, NodeGate } from "@dinp/core";

/** What both sides can be told. */
export interface WebSocketLinkBounds {
  /**
   * Between two looks for a sign of life, and two signs of our own, in milliseconds: after three looks in vain the other end
   * counts as gone. Default 5,000.
   */
  readonly pingMs?: number;
  /** The longest frame, in bytes: a message that names all placements of a node must fit. Default 32 MiB. */
  readonly frameBytesMax?: number;
}

export interface WebSocketLinkServerOptions extends WebSocketLinkBounds {
  readonly gate: NodeGate;
  readonly logger: Logger;
  /** Where the link is on the servers that it is attached to. Default `/v1/link`. */
  readonly path?: string;
  /**
   * Where the leading server is (`https://HOST:PORT`), asked while this one does not lead: agents are sent there. Null: not
   * known. Default: never known.
   */
  readonly leaderUrl?: () => string | null;
  /** Connections at a time, those that are not let in yet included; more are told to come again. Default 4,096. */
  readonly connectionsMax?: number;
  /** How long an agent may take to say who it is, and to be accepted. Default 10,000. */
  readonly greetingMs?: number;
}

/** The servers' side of a {@link https://www.rfc-editor.org/rfc/rfc6455 | WebSocket} control link. */
export interface WebSocketLinkServer extends ControlLinkServer {
  /**
   * Takes the agents that come to this server, at the link's path; other upgrades are left to others, and refused when there
   * are none. Returns the function that ends that.
   */
  attach(server: HttpServer | HttpsServer): () => void;
  /** Ends every connection. Idempotent. */
  close(): Promise<void>;
}

export interface WebSocketLinkClientOptions extends WebSocketLinkBounds {
  /**
   * The servers, `https://HOST[:PORT]`, tried in turn, the one that let the agent in last first; one that says nothing for two
   * seconds does not keep the next from being tried beside it. An agent's key goes to these alone, and, with a `ca`, to an https
   * server that one of them names as the leading one: only who has a certificate of that authority can read it.
   */
  readonly servers: readonly string[];
  /** Where the link is there. Default `/v1/link`. */
  readonly path?: string;
  /** Of the node: keeps its key over restarts. Nobody else may read it. */
  readonly state: LocalState;
  /** Makes the node join, when it has not or was revoked since. */
  readonly joinToken?: string | undefined;
  /** Certificates (PEM) of the authority that the servers' must be of, instead of the well-known ones. */
  readonly ca?: string;
  /** The name that the servers' certificates must be for. Default: each server's own. */
  readonly serverName?: string;
  /** Allows `http://`: keys can be read on their way. For loopback and tests. Default false. */
  readonly plaintext?: boolean;
  readonly logger: Logger;
  /** How long one server may take to answer, and then to accept. Default 15,000. */
  readonly connectMs?: number;
  /** The longest pause between two rounds over the servers. Default 10,000. */
  readonly pauseMsMax?: number;
  /** The age at which the node's key is changed for another. Default seven days. */
  readonly keyAgeMsMax?: number;
}
