import { DinpError, isDinpError } from "../model/errors.js";
import { assertNodeId } from "../model/names.js";
import type { JoinToken, NodeCredential, NodeId } from "../model/records.js";
import type { Admission, AdmissionRequest, NodeGate } from "../ports/node-gate.js";
import type { StateStore, Stored, Write } from "../ports/state-store.js";
import type { Clock, Hasher, Random } from "../ports/system.js";
import { sha256Hex } from "./canonical.js";
import { NodeEvents } from "./node-events.js";
import { nodeRevoked, revokedNodes } from "./node-revocations.js";

export interface NodeGateOptions {
  /** Opened. */
  readonly store: StateStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly hasher: Hasher;
  /** How long a node's key is still taken after it was changed for another. Default 24 hours. */
  readonly overlapMs?: number;
}

type Signal = { readonly signal: AbortSignal };

const NODE_KEY = /^dinpn_[0-9a-f]{64}$/;
const JOIN_TOKEN = /^dinpj_[0-9a-z]{52}$/;
const KEY_HASH = /^[0-9a-f]{64}$/;
const DAY_MS = 24 * 3_600_000;
/** Two that write one record: the second one reads what the first has written. */
const TRIES = 4;

/** The gate of the nodes whose join tokens and credentials are in the store. Does no I/O by itself. */
export function createNodeGate(options: NodeGateOptions): NodeGate {
  const gate = new StoreNodeGate(options);
  return {
    admit: (request, { signal }) => gate.admit(request, { signal }),
    rotate: (admission, newKeyHash, { signal }) => gate.rotate(admission, newKeyHash, { signal }),
    watchRevoked: ({ signal }) => revokedNodes(options.store, signal),
  };
}

class StoreNodeGate {
  readonly #options: NodeGateOptions;
  readonly #events: NodeEvents;

  constructor(options: NodeGateOptions) {
    this.#options = options;
    this.#events = new NodeEvents(options.random);
  }

  admit(request: AdmissionRequest, options: Signal): Promise<Admission> {
    assertNodeId(request.nodeId);
    if (JOIN_TOKEN.test(request.secret)) return this.#again(() => this.#join(request, options));
    return this.#enter(request, options);
  }

  rotate({ nodeId, keyHash }: Admission, newKeyHash: string, options: Signal): Promise<Admission> {
    assertKeyHash(newKeyHash);
    return this.#again(async () => {
      const known = await this.#options.store.get("nodeCredential", nodeId, options);
      if (known === null || known.value.revokedAt !== null) throw nodeRevoked(nodeId);
      if (known.value.keyHash !== newKeyHash) {
        if (known.value.keyHash !== keyHash) throw notNewest(nodeId);
        await this.#change(known, newKeyHash, options);
      }
      return { nodeId, keyHash: newKeyHash };
    });
  }

  /** Hashes are compared, so that the time this takes tells nothing about keys. */
  async #enter({ nodeId, secret, newKeyHash }: AdmissionRequest, options: Signal): Promise<Admission> {
    const { store, clock, hasher } = this.#options;
    // Who brings the hash of a key to come wants to join: what was damaged on its way is a join token.
    if (!NODE_KEY.test(secret)) throw newKeyHash === null ? keyNotValid(nodeId) : joinTokenNotValid();
    const keyHash = sha256Hex(hasher, secret);
    const credential = (await store.get("nodeCredential", nodeId, options))?.value ?? null;
    if (credential === null || !isTaken(credential, keyHash, clock.now())) throw keyNotValid(nodeId);
    if (credential.revokedAt !== null) throw nodeRevoked(nodeId);
    return { nodeId, keyHash };
  }

  async #join({ nodeId, secret, newKeyHash }: AdmissionRequest, options: Signal): Promise<Admission> {
    const { store, hasher, clock } = this.#options;
    assertKeyHash(newKeyHash);
    const token = await store.getUnique("joinToken", "hash", sha256Hex(hasher, secret), options);
    if (token === null || token.value.expiresAt <= clock.now()) throw joinTokenNotValid();
    const known = await store.get("nodeCredential", nodeId, options);
    const admission = { nodeId, keyHash: newKeyHash };
    // The answer to the first time was lost.
    if (known?.value.revokedAt === null && known.value.keyHash === newKeyHash) return admission;
    assertMayJoin(nodeId, known?.value ?? null, token.value);
    await this.#add(admission, token, known, options);
    return admission;
  }

  async #add(
    { nodeId, keyHash }: Admission,
    token: Stored<"joinToken">,
    known: Stored<"nodeCredential"> | null,
    options: Signal,
  ): Promise<void> {
    const now = this.#options.clock.now();
    const joinTokenId = token.key;
    const dates = { joinedAt: now, rotatedAt: now, revokedAt: null };
    const value: NodeCredential = { nodeId, keyHash, previous: null, joinTokenId, ...dates };
    const message = `the node ${nodeId} joined by ${joinTokenId}, which ${token.value.createdBy} made`;
    const writes: readonly Write[] = [
      { op: "put", kind: "nodeCredential", value, ifRevision: known?.revision ?? "absent" },
      // It may be revoked meanwhile.
      { op: "check", kind: "joinToken", key: joinTokenId, ifRevision: token.revision },
      this.#events.write(now, { type: "node.joined", nodeId, message }),
    ];
    await this.#options.store.commit(writes, options);
  }

  async #change(known: Stored<"nodeCredential">, keyHash: string, options: Signal): Promise<void> {
    const { store, clock, overlapMs = DAY_MS } = this.#options;
    const now = clock.now();
    const { nodeId } = known.value;
    const previous = { keyHash: known.value.keyHash, until: now + overlapMs };
    const value: NodeCredential = { ...known.value, keyHash, previous, rotatedAt: now };
    const event = this.#events.write(now, {
      ...{ type: "node.rekeyed", nodeId, message: `the node ${nodeId} has another key` },
    });
    const put = { op: "put", kind: "nodeCredential", value, ifRevision: known.revision } as const;
    await store.commit([put, event], options);
  }

  async #again<T>(step: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await step();
      } catch (error) {
        const isRace =
          isDinpError(error, "DINP_COMMIT_UNKNOWN") ||
          (isDinpError(error, "DINP_CONFLICT") && error.details["kind"] !== undefined);
        if (!isRace || tries === TRIES) throw error;
      }
    }
  }
}

function isTaken({ keyHash, previous }: NodeCredential, shown: string, now: number): boolean {
  return shown === keyHash || (previous !== null && shown === previous.keyHash && now < previous.until);
}

function assertMayJoin(nodeId: NodeId, known: NodeCredential | null, token: JoinToken): void {
  if (known === null) return;
  if (known.revokedAt === null) {
    throw new DinpError("DINP_CONFLICT", `A node has joined as ${nodeId} already.`, {
      hint: `Give this one another id; or, if that one is gone, revoke it first ("dinp nodes revoke ${nodeId}").`,
    });
  }
  if (token.createdAt <= known.revokedAt) throw nodeRevoked(nodeId);
}

function assertKeyHash(hash: string | null): asserts hash is string {
  if (hash !== null && KEY_HASH.test(hash)) return;
  throw new DinpError("DINP_INVALID", "The hash of the node's key must be 64 digits of lower-case hex.");
}

function keyNotValid(nodeId: NodeId): DinpError {
  return new DinpError("DINP_UNAUTHENTICATED", `The key is not (or no longer) that of the node ${nodeId}.`, {
    hint: `Revoke the node ("dinp nodes revoke ${nodeId}") and let it join again by a new join token.`,
  });
}

function joinTokenNotValid(): DinpError {
  return new DinpError("DINP_UNAUTHENTICATED", "The join token is not valid here, or no longer.", {
    hint: 'Make a new one ("dinp nodes join-token"), and start the agent again with it.',
  });
}

function notNewest(nodeId: NodeId): DinpError {
  const message = `The node ${nodeId} was let in by a key that is not its newest.`;
  return new DinpError("DINP_FORBIDDEN", message, { hint: "See whether somebody else has that key." });
}
