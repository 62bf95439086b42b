import { DinpError } from "../model/errors.js";
import { assertRegistryHost } from "../model/image-names.js";
import { registryAccountKey } from "../model/kinds.js";
import type { RegistryAccount } from "../model/records.js";
import type { RegistryAccess } from "../ports/registry-connector.js";
import { withSignal } from "./app-records.js";
import { change } from "./change.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import { printable, quoted } from "./text.js";
import { registryPurpose, seal } from "./sealing.js";
import type { RegistryView } from "./views.js";

/** How a registry is to be asked for images. */
export interface RegistryRequest {
  /** With a password; neither: anonymous. At most 255 characters. */
  readonly username?: string | undefined;
  /** Or an access token. It is sealed, and never given out again. At most 4,096 characters. */
  readonly password?: string | undefined;
  /** Certificates (PEM) that are trusted besides the well-known authorities. */
  readonly ca?: string | undefined;
  /** Speak http: what is sent, the password included, can be read and changed on its way. Default false. */
  readonly plainHttp?: boolean | undefined;
}

/** Until there are others, all that a user does is this team's. */
const TEAM = "default";
const CA_LENGTH_MAX = 256 * 1024;

/** By host. */
export async function listRegistries(
  context: PlatformContext,
  options: ReadOptions,
): Promise<readonly RegistryView[]> {
  const views: RegistryView[] = [];
  const list = { index: { name: "team", value: TEAM }, ...withSignal(options) };
  for await (const { value } of context.store.list("registryAccount", list)) views.push(viewOf(value));
  return views;
}

/** Allows images of a registry, or replaces how it is spoken to. `DINP_INVALID`. */
export async function addRegistry(
  context: PlatformContext,
  host: string,
  request: RegistryRequest,
  options: WriteOptions,
): Promise<RegistryView> {
  assertRegistryHost(host);
  assertRequest(request);
  const { username, password, ca, plainHttp = false } = request;
  const credentials = username === undefined || password === undefined ? null : { username, password };
  const access: RegistryAccess = { host, credentials, ca: ca ?? null, plainHttp };
  // Says what is wrong with it before anything is kept.
  await context.registries.connect(access).close();
  const sealedPassword =
    credentials === null
      ? null
      : await seal(context, credentials.password, registryPurpose(TEAM, host), options);
  // The password is no part of what a repeated request is recognized by: a hash of it would be kept.
  const input = { host, username, ca, plainHttp };
  return change(context, "registry.add", input, options, async (now) => {
    const known = await context.store.get("registryAccount", registryAccountKey(TEAM, host));
    const account: RegistryAccount = {
      teamId: TEAM,
      host,
      username: credentials?.username ?? null,
      sealedPassword,
      ca: ca ?? null,
      plainHttp,
      createdAt: now,
      createdBy: options.caller.subject,
    };
    const who = credentials === null ? "anonymously" : `as ${quoted(credentials.username)}`;
    const ifRevision = known?.revision ?? "absent";
    return {
      writes: [{ op: "put", kind: "registryAccount", value: account, ifRevision }],
      events: [{ type: "registry.added", message: `images of ${host} can be used, ${who}` }],
      result: viewOf(account),
    };
  });
}

/** `DINP_NOT_FOUND` when there is none. Images that were taken from there stay. */
export async function removeRegistry(
  context: PlatformContext,
  host: string,
  options: WriteOptions,
): Promise<{ readonly deleted: true }> {
  return change(context, "registry.remove", { host }, options, async () => {
    const key = registryAccountKey(TEAM, host);
    const known = /^[\x20-\x7e]{1,300}$/.test(host) ? await context.store.get("registryAccount", key) : null;
    if (known === null) {
      throw new DinpError("DINP_NOT_FOUND", `There is no registry ${quoted(host)}.`, {
        hint: "List the registries to see their hosts.",
      });
    }
    return {
      writes: [{ op: "delete", kind: "registryAccount", key, ifRevision: known.revision }],
      events: [{ type: "registry.removed", message: `images of ${host} can no longer be used` }],
      result: { deleted: true } as const,
    };
  });
}

/** How to speak to a registry that images may be taken from. `DINP_INVALID` when they may not, `DINP_CORRUPT`. */
export async function accessTo(
  context: Pick<PlatformContext, "store" | "secrets">,
  host: string,
  options: ReadOptions,
): Promise<RegistryAccess> {
  const key = registryAccountKey(TEAM, host);
  const account = (await context.store.get("registryAccount", key, withSignal(options)))?.value;
  if (account === undefined) {
    throw new DinpError("DINP_INVALID", `The platform takes no images from ${printable(host, 260)} so far.`, {
      hint: `Allow it with "dinp registries add ${printable(host, 260)}", with --username when it wants one.`,
      details: { field: "image" },
    });
  }
  const { username, sealedPassword, ca, plainHttp } = account;
  if (username === null || sealedPassword === null) return { host, credentials: null, ca, plainHttp };
  const password = await context.secrets.open(sealedPassword, registryPurpose(TEAM, host));
  return { host, credentials: { username, password }, ca, plainHttp };
}

function viewOf({ host, username, ca, plainHttp, createdAt, createdBy }: RegistryAccount): RegistryView {
  return { host, username, hasCa: ca !== null, plainHttp, createdAt, createdBy };
}

/** Errors name the field, never what is in it. */
function assertRequest({ username, password, ca }: RegistryRequest): void {
  if ((username === undefined) !== (password === undefined)) {
    const field = username === undefined ? "username" : "password";
    throw invalid(
      field,
      "A user and a password belong together.",
      "Give both, or neither for anonymous use.",
    );
  }
  if (username !== undefined && !/^[^:\p{Cc}]{1,255}$/u.test(username)) {
    throw invalid(
      "username",
      "The user is 1 to 255 characters without a colon.",
      "Give the user's name alone.",
    );
  }
  if (password !== undefined && !/^[^\p{Cc}]{1,4096}$/u.test(password)) {
    throw invalid(
      "password",
      "The password is 1 to 4096 characters of one line.",
      "Give the password alone.",
    );
  }
  if (ca !== undefined && (ca.length > CA_LENGTH_MAX || !ca.includes("-----BEGIN CERTIFICATE-----"))) {
    throw invalid("ca", "The certificates are not in PEM.", "They begin with -----BEGIN CERTIFICATE-----.");
  }
}

function invalid(field: string, message: string, hint: string): DinpError {
  return new DinpError("DINP_INVALID", message, { hint, details: { field } });
}
