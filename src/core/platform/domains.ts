import { limits } from "../model/defaults.js";
import { DinpError } from "../model/errors.js";
import { domainKey } from "../model/kinds.js";
import type { App, Domain } from "../model/records.js";
import type { Write } from "../ports/state-store.js";
import { findAppEvenDeleted, listOf, requireApp, withSignal } from "./app-records.js";
import { domainView } from "./app-views.js";
import { change } from "./change.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import type { DomainRequest } from "./requests.js";
import { printable, quoted } from "./text.js";
import { parseDomain } from "./validate.js";
import type { DomainView } from "./views.js";

export async function listDomains(
  context: PlatformContext,
  name: string,
  options: ReadOptions,
): Promise<DomainView[]> {
  const app = await findAppEvenDeleted(context.store, name, options);
  return (await listOf(context.store, "domain", app.id, options)).map(domainView);
}

/**
 * The writes that give the app those of the domains that it does not have yet. `DINP_NOT_UNIQUE` when one is another
 * app's, `DINP_INVALID` when one is no domain, is the platform's own, or there would be too many.
 */
export async function claimDomains(
  context: PlatformContext,
  app: App,
  wanted: readonly DomainRequest[],
  now: number,
  options: ReadOptions,
): Promise<{ readonly writes: readonly Write[]; readonly domains: readonly DomainView[] }> {
  if (wanted.length === 0) return { writes: [], domains: [] };
  const { appsDomain } = context.info();
  const domains = wanted.map((request) => parseDomain(request, appsDomain));
  const writes: Write[] = [];
  for (const { host, path } of domains) {
    const taken = await context.store.get("domain", domainKey(host, path), withSignal(options));
    if (taken?.value.appId === app.id) continue;
    if (taken !== null) throw await takenError(context, taken.value, options);
    const value: Domain = { host, path, appId: app.id, createdAt: now };
    writes.push({ op: "put", kind: "domain", value, ifRevision: "absent" });
  }
  if (writes.length > 0) {
    const count = (await listOf(context.store, "domain", app.id, options)).length + writes.length;
    if (count > limits.domainsPerAppMax) {
      throw new DinpError(
        "DINP_INVALID",
        `The app would have ${String(count)} domains; ${String(limits.domainsPerAppMax)} are allowed.`,
        { hint: "Remove some first.", details: { field: "domains" } },
      );
    }
  }
  return { writes, domains };
}

async function takenError(
  context: PlatformContext,
  domain: Domain,
  options: ReadOptions,
): Promise<DinpError> {
  const owner = await context.store.get("app", domain.appId, withSignal(options));
  const address = `${domain.host}${domain.path === "/" ? "" : domain.path}`;
  const whose = owner === null ? "another app" : `the app ${quoted(owner.value.name)}`;
  return new DinpError("DINP_NOT_UNIQUE", `The domain ${quoted(address)} belongs to ${whose}.`, {
    hint: "Remove it there first, or choose another one.",
    details: { field: "host", host: domain.host, path: domain.path },
  });
}

/** Gives the app one more address; one that it has already is answered as if it were new. */
export async function addDomain(
  context: PlatformContext,
  name: string,
  request: DomainRequest,
  options: WriteOptions,
): Promise<DomainView> {
  const domain = parseDomain(request, context.info().appsDomain);
  return change(context, "domain.add", { name, domain }, options, async (now) => {
    const app = await requireApp(context.store, name, options);
    const { writes } = await claimDomains(context, app.value, [domain], now, options);
    if (writes.length === 0) return { writes, events: [], result: domain };
    const message = `${name} answers at ${domain.host}${domain.path}`;
    return {
      writes: [...writes, { op: "check", kind: "app", key: app.key, ifRevision: app.revision }],
      events: [{ type: "domain.added", message, app: app.value }],
      result: domain,
    };
  });
}

/** Takes an address from the app. `DINP_NOT_FOUND` when it does not have it. */
export async function removeDomain(
  context: PlatformContext,
  name: string,
  request: DomainRequest,
  options: WriteOptions,
): Promise<{ readonly deleted: true }> {
  const domain = parseDomain(request, context.info().appsDomain);
  return change(context, "domain.remove", { name, domain }, options, async () => {
    const { store } = context;
    const app = await requireApp(store, name, options);
    const key = domainKey(domain.host, domain.path);
    const stored = await store.get("domain", key, withSignal(options));
    if (stored?.value.appId !== app.key) throw await notThere(context, app.value, key, options);
    return {
      writes: [{ op: "delete", kind: "domain", key, ifRevision: stored.revision }],
      events: [{ type: "domain.removed", message: `${name} no longer answers at ${key}`, app: app.value }],
      result: { deleted: true },
    };
  });
}

async function notThere(
  context: PlatformContext,
  app: App,
  key: string,
  options: ReadOptions,
): Promise<DinpError> {
  const domains = await listOf(context.store, "domain", app.id, options);
  const shown = domains.slice(0, 10).map(({ host, path }) => `${host}${path}`);
  return new DinpError("DINP_NOT_FOUND", `The app ${quoted(app.name)} has no domain ${quoted(key)}.`, {
    hint: shown.length === 0 ? "It has no domains." : `It has ${printable(shown.join(", "))}.`,
  });
}
