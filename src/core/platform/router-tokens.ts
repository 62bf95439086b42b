import { DinpError } from "../model/errors.js";
import { isStoreKey } from "../model/prepared-writes.js";
import { withSignal } from "./app-records.js";
import { change } from "./change.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import { quoted } from "./text.js";
import { newToken, type NewToken } from "./tokens.js";
import type { RouterTokenView } from "./views.js";

const ROUTER_TOKENS_MAX = 1_000;

/** Makes a token by which routers register. The secret is told this once, and no repetition of the request gets it. */
export async function createRouterToken(context: PlatformContext, options: WriteOptions): Promise<NewToken> {
  assertAdmin(options);
  const { caller, signal } = options;
  const { secret, record } = newToken(context, { subject: "router", role: "router" });
  return change(context, "routerToken.create", {}, { caller, signal }, async (now) => {
    await assertRoom(context, options);
    const value = { ...record, createdAt: now };
    return {
      writes: [{ op: "put", kind: "token", value, ifRevision: "absent" }],
      events: [{ type: "routerToken.created", message: `made ${record.id}, by which routers register` }],
      result: { id: record.id, subject: record.subject, secret },
    };
  });
}

/** By id. */
export async function listRouterTokens(
  context: PlatformContext,
  options: ReadOptions,
): Promise<readonly RouterTokenView[]> {
  const views: RouterTokenView[] = [];
  for await (const { value } of context.store.list("token", withSignal(options)))
    if (value.role === "router") views.push({ id: value.id, createdAt: value.createdAt });
  return views;
}

/** `DINP_NOT_FOUND`. Routers that are registered stay so. */
export async function revokeRouterToken(
  context: PlatformContext,
  id: string,
  options: WriteOptions,
): Promise<{ readonly deleted: true }> {
  assertAdmin(options);
  return change(context, "routerToken.revoke", { id }, options, async () => {
    const known = isStoreKey(id) ? await context.store.get("token", id, withSignal(options)) : null;
    if (known?.value.role !== "router") {
      throw new DinpError("DINP_NOT_FOUND", `There is no router's token ${quoted(id)}.`, {
        hint: "List the routers' tokens to see their ids.",
      });
    }
    return {
      writes: [{ op: "delete", kind: "token", key: id, ifRevision: known.revision }],
      events: [{ type: "routerToken.revoked", message: `no router can register by ${id} any more` }],
      result: { deleted: true } as const,
    };
  });
}

async function assertRoom(context: PlatformContext, options: ReadOptions): Promise<void> {
  const { length } = await listRouterTokens(context, options);
  if (length < ROUTER_TOKENS_MAX) return;
  throw new DinpError(
    "DINP_BUSY",
    `There are ${String(length)} routers' tokens, which is as many as may be.`,
    {
      hint: "Revoke those that are not needed.",
    },
  );
}

function assertAdmin({ caller }: WriteOptions): void {
  if (caller.role === "admin") return;
  throw new DinpError("DINP_FORBIDDEN", "Only an admin may say who registers routers.", {
    hint: "Ask an admin to do it.",
  });
}
