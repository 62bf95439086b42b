import { DinpError, messageOf } from "../model/errors.js";
import type { InstanceId, NodeId } from "../model/records.js";
import type { AgentSession, ControlLinkServer } from "../ports/control-link.js";
import type { LogLine } from "../ports/runtime.js";
import { childController, isAborted } from "./abort.js";
import { NodeSession, type NodeSessionOptions } from "./node-session.js";

export interface AgentLinkOptions extends NodeSessionOptions {
  readonly link: ControlLinkServer;
  /** A node that was not heard of for this long counts as silent: when it is heard of again, that is news. */
  readonly silentAfterMs: number;
  /** Told when a node was heard of for the first time or again after a silence, and of each connection's full report and end. */
  readonly onSeen: () => void;
}

/** Which instances' logs to read, and how: see `ControlLink`. */
export interface InstanceLogRequest {
  readonly nodeId: NodeId;
  readonly instanceId: InstanceId;
  readonly tail: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/**
 * The leader's side of the agents: sends each node its placements as they change, and writes what the agents report.
 * A node's newest session counts; an older one is closed.
 */
export class AgentLink {
  readonly #options: AgentLinkOptions;
  readonly #sessions = new Map<NodeId, NodeSession>();
  readonly #seenAt = new Map<NodeId, number>();

  constructor(options: AgentLinkOptions) {
    this.#options = options;
  }

  /** A node that a report of waits for the store is held back by this server: it is not silent. */
  readonly nodeSeenAt: Pick<ReadonlyMap<NodeId, number>, "get"> = {
    get: (nodeId) => {
      if (this.#sessions.get(nodeId)?.isHeldBack === true) {
        this.#seenAt.set(nodeId, this.#options.clock.now());
      }
      return this.#seenAt.get(nodeId);
    },
  };

  /** True while the node is connected, once all that it has told in its full report is in the view. */
  readonly isReported = (nodeId: NodeId): boolean => this.#sessions.get(nodeId)?.hasReported === true;

  /** Serves agents until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const running = new Set<Promise<void>>();
    for await (const session of this.#options.link.accept({ signal })) {
      const { controller, detach } = childController(signal);
      const served = this.#serve(session, controller).finally(() => {
        detach();
        running.delete(served);
      });
      running.add(served);
    }
    await Promise.all(running);
  }

  /** Lines of an instance's log from its node. `DINP_UNAVAILABLE` when the node is not connected. */
  logs(request: InstanceLogRequest): AsyncIterable<LogLine> {
    return this.session(request.nodeId).logs(request);
  }

  isConnected(nodeId: NodeId): boolean {
    return this.#sessions.has(nodeId);
  }

  /** The newest connection of a node. `DINP_UNAVAILABLE` when it is not connected. */
  session(nodeId: NodeId): AgentSession {
    const node = this.#sessions.get(nodeId);
    if (node !== undefined) return node.session;
    throw new DinpError("DINP_UNAVAILABLE", `The node ${nodeId} is not connected.`, { retryable: true });
  }

  async #serve(session: AgentSession, controller: AbortController): Promise<void> {
    const { logger, onSeen } = this.#options;
    const { signal } = controller;
    const nodeId = session.hello.nodeId;
    const end = (): void => {
      controller.abort();
    };
    const seen = (): void => {
      const now = this.#options.clock.now();
      const before = this.#seenAt.get(nodeId);
      this.#seenAt.set(nodeId, now);
      if (before === undefined || now - before >= this.#options.silentAfterMs) onSeen();
    };
    const node = new NodeSession(session, this.#options, { end, seen, reported: onSeen });
    const older = this.#sessions.get(nodeId);
    this.#sessions.set(nodeId, node);
    if (older !== undefined) onSeen();
    try {
      // A report that the older one still holds would be written over what this one brings.
      older?.end();
      await older?.session.close();
      await node.run(signal);
    } catch (error) {
      if (!isAborted(signal))
        logger.warn("an agent's session ended", { node: nodeId, error: messageOf(error) });
    } finally {
      if (this.#sessions.get(nodeId) === node) {
        this.#sessions.delete(nodeId);
        onSeen();
      }
      await session.close().catch(() => undefined);
    }
  }
}
