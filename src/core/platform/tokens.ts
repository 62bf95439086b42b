import { DinpError } from "../model/errors.js";
import { newId, randomText } from "../model/ids.js";
import type { Token } from "../model/records.js";
import { withSignal } from "./app-records.js";
import { sha256Hex } from "./canonical.js";
import type { Caller, PlatformContext, ReadOptions } from "./context.js";
import { toRecord } from "./change.js";
import { printable } from "./text.js";

/** A new credential. The secret is told this once: only its hash is kept. */
export interface NewToken {
  readonly id: string;
  readonly subject: string;
  readonly secret: string;
}

/** 52 characters of 5 random bits: 260. */
const SECRET_LENGTH = 52;
const SECRET = /^dinp_[0-9a-z]{52}$/;

/** A new token's secret and its record, which is not stored yet. */
export function newToken(
  { random, clock, hasher }: Pick<PlatformContext, "random" | "clock" | "hasher">,
  { subject, role }: Pick<Token, "subject" | "role">,
): { readonly secret: string; readonly record: Token } {
  const secret = `dinp_${randomText(random, SECRET_LENGTH)}`;
  const id = newId(random, "token");
  return { secret, record: { id, hash: sha256Hex(hasher, secret), subject, role, createdAt: clock.now() } };
}

/** Makes a token that may do everything. */
export async function createAdminToken(
  context: PlatformContext,
  request: { readonly subject?: string },
  options: ReadOptions,
): Promise<NewToken> {
  const subject = printable(request.subject ?? "admin", 100);
  const { secret, record } = newToken(context, { subject, role: "admin" });
  const event = toRecord(
    context,
    { type: "token.created", message: `made a token for ${subject}` },
    "platform",
    record.createdAt,
  );
  await context.store.commit(
    [
      { op: "put", kind: "token", value: record, ifRevision: "absent" },
      { op: "put", kind: "event", value: event, ifRevision: "absent" },
    ],
    withSignal(options),
  );
  return { id: record.id, subject, secret };
}

/**
 * Whose secret it is. `DINP_UNAUTHENTICATED` for any other. The secret is looked up by its hash, so that the time this
 * takes tells nothing about secrets that exist.
 */
export async function authenticate(
  context: PlatformContext,
  secret: string,
  options: ReadOptions,
): Promise<Caller> {
  if (SECRET.test(secret)) {
    const hash = sha256Hex(context.hasher, secret);
    const token = await context.store.getUnique("token", "hash", hash, withSignal(options));
    if (token !== null) {
      const { id, subject, role } = token.value;
      return { tokenId: id, subject, role };
    }
  }
  throw new DinpError("DINP_UNAUTHENTICATED", "The token is not valid here.", {
    hint: "Log in with the token that the platform printed at its first start.",
  });
}
