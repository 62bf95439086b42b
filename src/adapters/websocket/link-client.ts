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
import { AllRefused, firstAnswer } from "./first-answer.js";
import { KeyRotation } from "./key-rotation.js";
import { NodeKey, type KeyAttempt } from "./node-key.js";
import type { WebSocketLinkClientOptions } from "./options.js";
import type { Refusal } from "./refusals.js";
import { present } from "./present.js";
import type { ServerConnection } from "./server-connection.js";
import { ServerList } from "./server-list.js";
import { KEY_HASH_FIELD, NODE_FIELD } from "./upgrade-request.js";

type ConnectOptions = AgentServices & { readonly signal: AbortSignal };

const PAUSE_MS_MIN = 100;
/** A server that says nothing for so long is not waited for before the next one is asked. */
const HEAD_START_MS = 2_000;
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

  /** Every server, until one lets the agent in; the most telling of what they said is thrown. */
  async #round(hello: AgentHello, options: ConnectOptions): Promise<ServerSession> {
    const { urls } = this.#servers;
    // Makes the key, if there is none, before several ask for it.
    await this.#key.attempts(hello.nodeId);
    try {
      const { answer, from } = await firstAnswer<ServerSession>({
        of: [...urls.slice(this.#first), ...urls.slice(0, this.#first)],
        ask: (url, signal) => this.#tryKeys(url, hello, { ...options, signal }),
        discard: (late) => void late.close(),
        headStartMs: HEAD_START_MS,
        signal: options.signal,
      });
      const index = urls.findIndex(({ href }) => href === from.href);
      if (index !== -1) this.#first = index;
      return answer;
    } catch (error) {
      assertNotAborted(options.signal);
      throw error instanceof AllRefused ? tellingError(error.errors) : error;
    }
  }

  /** A session, or the server that the agent is sent to. */
  async #tryKeys(url: URL, hello: AgentHello, options: ConnectOptions): Promise<ServerSession | URL> {
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
    url: URL,
    attempt: KeyAttempt,
    hello: AgentHello,
    options: ConnectOptions,
  ): Promise<ServerSession | URL> {
    const headers = {
      authorization: `Bearer ${attempt.secret}`,
      [NODE_FIELD]: hello.nodeId,
      ...(attempt.newKeyHash === null ? {} : { [KEY_HASH_FIELD]: attempt.newKeyHash }),
    };
    const dialled = await dial(url, headers, this.#options, options.signal);
    // Whoever sends us elsewhere has let us in.
    if (dialled.refusal === null || dialled.refusal.status === 307) await attempt.onAdmitted();
    return dialled.refusal === null
      ? this.#present(url, dialled, hello, options)
      : this.#elsewhere(url, dialled.refusal);
  }

  #elsewhere(url: URL, { status, code, message, hint, location }: Refusal): URL {
    if (status !== 307 || location === undefined) {
      const more = hint === undefined ? {} : { hint };
      throw new DinpError(code, `${url.origin}: ${message}`, { retryable: status >= 500, ...more });
    }
    const next = this.#servers.redirect(url, location);
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
