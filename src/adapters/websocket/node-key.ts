import { createHash, randomBytes } from "node:crypto";
import { DinpError, type LocalState, type NodeId } from "@dinp/core";
import { z } from "zod";

const STATE_KEY = "node-key";

const keysSchema = z.object({
  nodeId: z.string(),
  /** The key that the servers take; null before the node has joined. */
  key: z.string().nullable(),
  /** One that a server was, or will be, asked to take instead. */
  next: z.string().nullable(),
  /** When `key` was taken first. */
  since: z.number(),
});

type Keys = z.output<typeof keysSchema>;

/** One way to be let in. */
export interface KeyAttempt {
  readonly secret: string;
  /** Of the key that the node will have, with a join token. */
  readonly newKeyHash: string | null;
  /** Whether a server has taken this key already. */
  readonly isJoined: boolean;
  /** What to do once it has worked. */
  readonly onAdmitted: () => Promise<void>;
}

/**
 * The key of a node, kept in its local state. A new one is written down before a server is told its hash, and the one before
 * is kept until a server has answered: whatever is lost on the way, the node holds a key that is taken.
 */
export class NodeKey {
  readonly #state: LocalState;
  readonly #joinToken: string | undefined;
  #keys: Keys | null = null;

  constructor(state: LocalState, joinToken: string | undefined) {
    this.#state = state;
    this.#joinToken = joinToken;
  }

  /** The ways to be let in, in the order to try them. `DINP_UNAUTHENTICATED` when there is none, `DINP_CORRUPT`. */
  async attempts(nodeId: NodeId): Promise<readonly KeyAttempt[]> {
    const { key, next } = await this.#load(nodeId);
    const attempts: KeyAttempt[] = [];
    if (key !== null) {
      attempts.push({ secret: key, newKeyHash: null, isJoined: true, onAdmitted: () => Promise.resolve() });
    }
    const promote = (): Promise<void> => this.#promote();
    if (next !== null)
      attempts.push({ secret: next, newKeyHash: null, isJoined: false, onAdmitted: promote });
    if (this.#joinToken !== undefined) {
      const newKeyHash = hashOf(await this.#prepare());
      attempts.push({ secret: this.#joinToken, newKeyHash, isJoined: false, onAdmitted: promote });
    }
    if (attempts.length > 0) return attempts;
    throw new DinpError("DINP_UNAUTHENTICATED", `The node ${nodeId} has not joined yet.`, {
      hint: 'Make a join token ("dinp nodes join-token") and give it to the agent.',
    });
  }

  /** The hash of the key to change to, when the present one is as old as that; null before. */
  async dueRotation(ageMsMax: number): Promise<string | null> {
    const keys = this.#keys;
    if (keys?.key == null || Date.now() - keys.since < ageMsMax) return null;
    return hashOf(await this.#prepare());
  }

  /** A server takes the next key from now on. */
  async rotated(keyHash: string): Promise<void> {
    const next = this.#keys?.next ?? null;
    if (next !== null && hashOf(next) === keyHash) await this.#promote();
  }

  async #load(nodeId: NodeId): Promise<Keys> {
    if (this.#keys !== null) return this.#keys;
    const text = await this.#state.read(STATE_KEY);
    const keys = text === null ? { nodeId, key: null, next: null, since: 0 } : parseKeys(text);
    if (keys.nodeId !== nodeId) {
      throw new DinpError(
        "DINP_INVALID",
        `The key here is that of the node ${keys.nodeId}, not of ${nodeId}.`,
        {
          hint: "Give the agent the id that it joined with, or another folder for its state.",
        },
      );
    }
    this.#keys = keys;
    return keys;
  }

  async #prepare(): Promise<string> {
    const known = this.#keys?.next ?? null;
    if (known !== null) return known;
    const next = `dinpn_${randomBytes(32).toString("hex")}`;
    await this.#save({ next });
    return next;
  }

  async #promote(): Promise<void> {
    const next = this.#keys?.next ?? null;
    if (next !== null) await this.#save({ key: next, next: null, since: Date.now() });
  }

  async #save(change: Partial<Keys>): Promise<void> {
    if (this.#keys === null) return;
    const keys = { ...this.#keys, ...change };
    await this.#state.write(STATE_KEY, JSON.stringify(keys));
    this.#keys = keys;
  }
}

function hashOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

function parseKeys(text: string): Keys {
  try {
    return keysSchema.parse(JSON.parse(text));
  } catch {
    throw new DinpError("DINP_CORRUPT", "The node's key cannot be read.", {
      hint: 'Remove it, revoke the node ("dinp nodes revoke"), and let it join again.',
    });
  }
}
