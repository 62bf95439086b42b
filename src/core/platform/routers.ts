import { DinpError } from "../model/errors.js";
import { assertRouterId } from "../model/names.js";
import { isStoreKey } from "../model/prepared-writes.js";
import type { RouterRegistration } from "../model/records.js";
import type { Write } from "../ports/state-store.js";
import { withSignal } from "./app-records.js";
import { change } from "./change.js";
import type { RouterProgress } from "./cluster-source.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import { registrationWrites, ROUTERS_MAX } from "./router-registrations.js";
import { printable, quoted } from "./text.js";
import type { RouterView } from "./views.js";

export interface RouterRequest {
  /** Where it is, for people. At most 255 characters. Default: as it was, at first empty. */
  readonly address?: string | undefined;
}

export interface ForgetRouterRequest {
  /** Also when the router seems to be at work. */
  readonly confirm?: boolean | undefined;
}

const ADDRESS_LENGTH_MAX = 255;

/** By id. */
export async function listRouters(
  context: PlatformContext,
  options: ReadOptions,
): Promise<readonly RouterView[]> {
  const views: RouterView[] = [];
  for await (const { value } of context.store.list("router", withSignal(options)))
    views.push(viewOf(context, value));
  return views;
}

/** From the answer on, drains and ports wait for the router. `DINP_BUSY` when there are too many. Idempotent. */
export async function registerRouter(
  context: PlatformContext,
  id: string,
  request: RouterRequest,
  options: WriteOptions,
): Promise<RouterView> {
  assertMayRegister(options);
  assertRouterId(id);
  const { caller, signal } = options;
  // It is idempotent by itself; routers say it again and again, and no answer of that is worth keeping.
  return change(context, "router.register", {}, { caller, signal }, async (now) => {
    const known = await context.store.get("router", id, withSignal(options));
    const address = addressOf(request, known?.value.address ?? "");
    if (known === null) {
      await assertRoom(context, options);
      const router = { id, address, registeredAt: now };
      const message = `the router ${id} is waited for from now on`;
      const events = [{ type: "router.registered", message }];
      return { writes: registrationWrites(router), events, result: viewOf(context, router) };
    }
    const value = { ...known.value, address };
    const put: Write = { op: "put", kind: "router", value, ifRevision: known.revision };
    const isNews = address !== known.value.address;
    return { writes: isNews ? [put] : [], events: [], result: viewOf(context, value) };
  });
}

/**
 * Nothing waits for the router any more. One that is still at work could send an app's requests to another app:
 * `DINP_CONFIRMATION_REQUIRED` when it acknowledges the present table, or nobody knows. `DINP_NOT_FOUND`.
 */
export async function forgetRouter(
  context: PlatformContext,
  id: string,
  { confirm = false }: ForgetRouterRequest,
  options: WriteOptions,
): Promise<{ readonly deleted: true }> {
  assertAdmin(options);
  return change(context, "router.forget", { id, confirm }, options, async () => {
    const known = isStoreKey(id) ? await context.store.get("router", id, withSignal(options)) : null;
    if (known === null) {
      throw new DinpError("DINP_NOT_FOUND", `There is no router ${quoted(id)}.`, {
        hint: "List the routers to see their ids.",
      });
    }
    if (!confirm) assertSilent(id, context.cluster().routerProgress(id));
    return {
      writes: [{ op: "delete", kind: "router", key: id, ifRevision: known.revision }],
      events: [{ type: "router.forgotten", message: `nothing waits for the router ${id} any more` }],
      result: { deleted: true } as const,
    };
  });
}

function viewOf({ cluster }: PlatformContext, router: RouterRegistration): RouterView {
  const { id, address, registeredAt } = router;
  const progress = cluster().routerProgress(id);
  return {
    ...{ id, address, registeredAt },
    acknowledged: progress?.acknowledged ?? null,
    behind: progress?.behind ?? null,
    busy: progress?.busy ?? null,
    holdsUp: progress?.holdsUp ?? null,
  };
}

function addressOf({ address }: RouterRequest, before: string): string {
  if (address === undefined) return before;
  if (address.length <= ADDRESS_LENGTH_MAX) return printable(address);
  throw new DinpError("DINP_INVALID", "A router's address is at most 255 characters.", {
    details: { field: "address" },
  });
}

async function assertRoom({ store }: PlatformContext, options: ReadOptions): Promise<void> {
  let count = 0;
  for await (const { key } of store.list("router", { limit: ROUTERS_MAX, ...withSignal(options) }))
    count += key === "" ? 0 : 1;
  if (count < ROUTERS_MAX) return;
  throw new DinpError("DINP_BUSY", `There are ${String(count)} routers, which is as many as may be.`, {
    hint: "Forget those that are gone.",
  });
}

function assertSilent(id: string, progress: RouterProgress | null): void {
  if (progress !== null && progress.behind !== 0) return;
  const why =
    progress === null
      ? "No server that leads says what the router does"
      : "The router has acknowledged the present table, so it seems to be at work";
  throw new DinpError("DINP_CONFIRMATION_REQUIRED", `${why}: ${quoted(id)}.`, {
    hint: "End it first: while it runs unknown to the platform it could send an app's requests to another app. If it is gone for good, confirm.",
  });
}

function assertMayRegister({ caller }: WriteOptions): void {
  if (caller.role === "admin" || caller.role === "router") return;
  throw new DinpError("DINP_FORBIDDEN", "Only an admin, or a router's token, may register routers.", {
    hint: "Ask an admin for a router's token.",
  });
}

function assertAdmin({ caller }: WriteOptions): void {
  if (caller.role === "admin") return;
  throw new DinpError("DINP_FORBIDDEN", "Only an admin may forget routers.", {
    hint: "Ask an admin to do it.",
  });
}
