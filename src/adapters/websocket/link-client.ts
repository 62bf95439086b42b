import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  DinpError,
  isDinpError,
  messageOf,
  type AgentHello,
  type AgentServices,
  type ControlLinkClient,
  type ServerSession,
} from "@dinp/core";
import { closeCodes, type LinkEnd } from "./close-codes.js";
import { dial } from "./dial.js";
import { KeyRotation } from "./key-rotation.js";
import { NodeKey, type KeyAttempt } from "./node-key.js";
import type { WebSocketLinkClientOptions } from "./options.js";
import type { Refusal } from "./refusals.js";
import { present } from "./present.js";
import type { ServerConnection } from "./server-connection.js";
import { ServerList } from "./server-list.js";
import { KEY_HASH_FIELD, NODE_FIELD } from "./upgrade-request.js";

type ConnectOptions = AgentServices & { readonly signal: AbortSignal };

const REDIRECTS_MAX = 3;
const PAUSE_MS_MIN = 100;
/** As after so many failures: two agents of one node must not take turns in haste. */
const FAILURES_WHEN_REPLACED = 6;
const WEEK_MS = 7 * 24 * 3_600_000;

class LinkClient implements ControlLinkClient {
  readonly #options: WebSocketLinkClientOptions;
  readonly #servers: ServerList;
  readonly #key: NodeKey;
  /** Names this process. */
  readonly #run = randomUUID();
  /** Rounds over the servers in a row that came to nothing. */
  #failures = 0;
  /** Which server to begin with. */
  #first = 0;

  constructor(options: WebSocketLinkClientOptions) {
    this.#options = options;
    this.#servers = new ServerList(options);
    this.#key = new NodeKey(options.state, options.joinToken);
  }

  async connect(hello: AgentHello, options: ConnectOptions): Promise<ServerSession> {
    assertNotAborted(options.signal);
    await this.#pause(options.signal);
    try {
      const connection = await this.#round(hello, options);
      this.#failures = 0;
      return connection;
    } catch (error) {
      this.#failures += 1;
      throw error;
    }
  }

  /** Agents that lost the same server must not all come back at the same moment. */
  async #pause(signal: AbortSignal): Promise<void> {
    if (this.#failures === 0) return;
    const { pauseMsMax = 10_000 } = this.#options;
    const ms = Math.min(pauseMsMax, PAUSE_MS_MIN * 2 ** Math.min(this.#failures - 1, 20));
    await delay(ms * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
    assertNotAborted(signal);
  }

  /** Each server once; the most telling of what they said is thrown. */
  async #round(hello: AgentHello, options: ConnectOptions): Promise<ServerSession> {
    const { urls } = this.#servers;
    const errors: unknown[] = [];
    for (let tried = 0; tried < urls.length; tried += 1) {
      const index = (this.#first + tried) % urls.length;
      const url = urls[index];
      if (url === undefined) continue;
      try {
        const connection = await this.#tryKeys(url, hello, options);
        this.#first = index;
        return connection;
      } catch (error) {
        assertNotAborted(options.signal);
        errors.push(error);
      }
    }
    throw tellingError(errors);
  }

  async #tryKeys(url: URL, hello: AgentHello, options: ConnectOptions): Promise<ServerSession> {
    const attempts = await this.#key.attempts(hello.nodeId);
    let refused: unknown;
    for (const attempt of attempts) {
      try {
        return await this.#call(url, attempt, hello, options);
      } catch (error) {
        if (!isAboutKey(error)) throw error;
        // What is said about the key of a node that has joined tells most; of one that has not, about its join token.
        if (attempts[0]?.isJoined !== true) refused = error;
        else refused ??= error;
      }
    }
    throw refused;
  }

  async #call(
    first: URL,
    attempt: KeyAttempt,
    hello: AgentHello,
    options: ConnectOptions,
  ): Promise<ServerSession> {
    const headers = {
      authorization: `Bearer ${attempt.secret}`,
      [NODE_FIELD]: hello.nodeId,
      ...(attempt.newKeyHash === null ? {} : { [KEY_HASH_FIELD]: attempt.newKeyHash }),
    };
    let url = first;
    for (let redirects = 0; ; redirects += 1) {
      const dialled = await dial(url, headers, this.#options, options.signal);
      // Whoever sends us elsewhere has let us in.
      if (dialled.refusal === null || dialled.refusal.status === 307) await attempt.onAdmitted();
      if (dialled.refusal === null) return this.#present(url, dialled, hello, options);
      url = this.#elsewhere(url, dialled.refusal, redirects);
    }
  }

  #elsewhere(url: URL, refusal: Refusal, redirects: number): URL {
    const { status, code, message, hint, location } = refusal;
    if (status !== 307 || location === undefined) {
      const more = hint === undefined ? {} : { hint };
      throw new DinpError(code, `${url.origin}: ${message}`, { retryable: status >= 500, ...more });
    }
    const next = redirects < REDIRECTS_MAX ? this.#servers.redirect(url, location) : null;
    if (next !== null) return next;
    throw new DinpError(
      "DINP_UNAVAILABLE",
      `${url.origin} sends the agent to ${location}, where it may not go.`,
      {
        retryable: true,
        hint: "Name that server to the agent as well.",
      },
    );
  }

  async #present(
    url: URL,
    dialled: Parameters<typeof present>[0],
    hello: AgentHello,
    options: ConnectOptions,
  ): Promise<ServerConnection> {
    const rotation = new KeyRotation(this.#key, this.#options.keyAgeMsMax ?? WEEK_MS, this.#options.logger);
    const connection = await present(dialled, { hello, run: this.#run }, this.#options, options, {
      onRotated: (keyHash) => {
        rotation.confirmed(keyHash);
      },
      onEnd: (end) => {
        rotation.stop();
        this.#noteEnd(url, end);
      },
    });
    rotation.start((keyHash) => {
      connection.rotate(keyHash);
    });
    return connection;
  }

  #noteEnd({ origin: server }: URL, { code, reason }: LinkEnd): void {
    if (code === closeCodes.normal) return;
    if (code === closeCodes.replaced) this.#failures = FAILURES_WHEN_REPLACED;
    this.#options.logger.warn("the connection to the server ended", { server, code, reason });
  }
}

/** Creates an agent's side of the link. `TypeError` for URLs that are none or not allowed. Does nothing yet. */
export function createWebSocketLinkClient(options: WebSocketLinkClientOptions): ControlLinkClient {
  return new LinkClient(options);
}

function isAboutKey(error: unknown): boolean {
  return (
    isDinpError(error, "DINP_UNAUTHENTICATED") ||
    isDinpError(error, "DINP_FORBIDDEN") ||
    isDinpError(error, "DINP_CONFLICT")
  );
}

/** What a person can do something about comes first; else all that was said. */
function tellingError(errors: readonly unknown[]): unknown {
  const telling = errors.find((error) => error instanceof DinpError && error.code !== "DINP_UNAVAILABLE");
  if (telling !== undefined || errors.length === 1) return telling ?? errors[0];
  const hint = errors.map((error) => (error instanceof DinpError ? error.hint : undefined)).find(Boolean);
  return new DinpError("DINP_UNAVAILABLE", errors.map(messageOf).join("; "), {
    retryable: true,
    ...(hint === undefined ? {} : { hint }),
  });
}

function assertNotAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new DinpError("DINP_ABORTED", "The connection to the server was given up.");
}
