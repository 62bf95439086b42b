import { DinpError } from "../model/errors.js";
import { newId, randomText } from "../model/ids.js";
import type { JoinToken } from "../model/records.js";
import type { Write } from "../ports/state-store.js";
import { isStoreKey } from "../model/prepared-writes.js";
import { withSignal } from "./app-records.js";
import { sha256Hex } from "./canonical.js";
import { change } from "./change.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import { quoted } from "./text.js";
import type { JoinTokenView, NewJoinToken } from "./views.js";

export interface JoinTokenRequest {
  /** For how long nodes can join by it, in milliseconds: a minute to 30 days. Default one hour. */
  readonly ttlMs?: number | undefined;
}

/** 52 characters of 5 random bits: 260. */
const SECRET_LENGTH = 52;
const HOUR_MS = 3_600_000;
const TTL_MS_MIN = 60_000;
const TTL_MS_MAX = 30 * 24 * HOUR_MS;
const JOIN_TOKENS_MAX = 1_000;

/** Makes a token by which nodes can join. The secret is told this once, and no repetition of the request gets it. */
export async function createJoinToken(
  context: PlatformContext,
  request: JoinTokenRequest,
  options: WriteOptions,
): Promise<NewJoinToken> {
  assertAdmin(options);
  const { ttlMs = HOUR_MS } = request;
  assertTtl(ttlMs);
  const { random, hasher } = context;
  const secret = `dinpj_${randomText(random, SECRET_LENGTH)}`;
  const id = newId(random, "join");
  const { caller, signal } = options;
  return change(context, "joinToken.create", {}, { caller, signal }, async (now) => {
    await assertRoom(context, options);
    const expiresAt = now + ttlMs;
    const createdBy = caller.subject;
    const value: JoinToken = { id, hash: sha256Hex(hasher, secret), createdAt: now, createdBy, expiresAt };
    return {
      writes: [{ op: "put", kind: "joinToken", value, ifRevision: "absent" }],
      events: [{ type: "joinToken.created", message: `made ${id}, by which nodes can join` }],
      result: { id, createdAt: now, createdBy, expiresAt, secret },
    };
  });
}

/** Those that have not expired, by id. */
export async function listJoinTokens(
  context: PlatformContext,
  options: ReadOptions,
): Promise<readonly JoinTokenView[]> {
  const views: JoinTokenView[] = [];
  for await (const { value } of context.store.list("joinToken", withSignal(options))) {
    const { id, createdAt, createdBy, expiresAt } = value;
    if (expiresAt > context.clock.now()) views.push({ id, createdAt, createdBy, expiresAt });
  }
  return views;
}

/** `DINP_NOT_FOUND`. Nodes that have joined by it stay. */
export async function revokeJoinToken(
  context: PlatformContext,
  id: string,
  options: WriteOptions,
): Promise<{ readonly deleted: true }> {
  assertAdmin(options);
  return change(context, "joinToken.revoke", { id }, options, async () => {
    const known = isStoreKey(id) ? await context.store.get("joinToken", id) : null;
    if (known === null) {
      throw new DinpError("DINP_NOT_FOUND", `There is no join token ${quoted(id)}.`, {
        hint: "List the join tokens to see their ids.",
      });
    }
    return {
      writes: [{ op: "delete", kind: "joinToken", key: id, ifRevision: known.revision }],
      events: [{ type: "joinToken.revoked", message: `no node can join by ${id} any more` }],
      result: { deleted: true } as const,
    };
  });
}

/**
 * Ends the node's connection at once and lets it in no more, but by a join token that is made later. What it runs goes on
 * there, and is replaced elsewhere as that of a node that was lost. `DINP_NOT_FOUND` when no node of that id has joined.
 */
export async function revokeNode(
  context: PlatformContext,
  nodeId: string,
  options: WriteOptions,
): Promise<{ readonly revoked: true }> {
  assertAdmin(options);
  return change(context, "node.revoke", { nodeId }, options, async (now) => {
    const known = isStoreKey(nodeId) ? await context.store.get("nodeCredential", nodeId) : null;
    if (known === null) {
      throw new DinpError("DINP_NOT_FOUND", `No node has joined as ${quoted(nodeId)}.`, {
        hint: "List the nodes to see their ids.",
      });
    }
    const isNew = known.value.revokedAt === null;
    const value = { ...known.value, revokedAt: now };
    const put: Write = { op: "put", kind: "nodeCredential", value, ifRevision: known.revision };
    return {
      writes: isNew ? [put] : [],
      events: isNew ? [{ type: "node.revoked", message: `the node ${nodeId} is let in no more` }] : [],
      result: { revoked: true } as const,
    };
  });
}

/** Deletes the join tokens that have expired; resolves to how many went. */
export async function trimJoinTokens(context: PlatformContext, options: ReadOptions): Promise<number> {
  const { store, clock } = context;
  const writes: Write[] = [];
  for await (const { key, value } of store.list("joinToken", withSignal(options)))
    if (value.expiresAt <= clock.now()) writes.push({ op: "delete", kind: "joinToken", key });
  if (writes.length > 0) await store.commit(writes, withSignal(options));
  return writes.length;
}

async function assertRoom({ store }: PlatformContext, options: ReadOptions): Promise<void> {
  let count = 0;
  for await (const { key } of store.list("joinToken", { limit: JOIN_TOKENS_MAX, ...withSignal(options) }))
    count += key === "" ? 0 : 1;
  if (count < JOIN_TOKENS_MAX) return;
  throw new DinpError("DINP_BUSY", `There are ${String(count)} join tokens, which is as many as may be.`, {
    hint: "Revoke those that are not needed.",
  });
}

function assertAdmin({ caller }: WriteOptions): void {
  if (caller.role === "admin") return;
  throw new DinpError("DINP_FORBIDDEN", "Only an admin may say which nodes there are.", {
    hint: "Ask an admin to do it.",
  });
}

function assertTtl(ttlMs: number): void {
  if (Number.isSafeInteger(ttlMs) && ttlMs >= TTL_MS_MIN && ttlMs <= TTL_MS_MAX) return;
  throw new DinpError("DINP_INVALID", "A join token is valid for a minute to 30 days.", {
    hint: `Give milliseconds from ${String(TTL_MS_MIN)} to ${String(TTL_MS_MAX)}.`,
    details: { field: "ttlMs" },
  });
}
