import { isDinpError, type Platform, type StateStore } from "@dinp/core";
import { loadCredentials, saveCredentials } from "@dinp/core/cli";

export interface Login {
  /** Where the credentials are stored. */
  readonly file: string;
  /** The secret when it was made just now, else null. */
  readonly secret: string | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Sees to it that this user can log in: keeps a stored token that is valid, else makes one and stores it. With `renew`
 * a new one is made and every other admin token stops working.
 */
export async function ensureLogin(
  platform: Platform,
  store: StateStore,
  apiUrl: string,
  env: Environment,
  renew: boolean,
): Promise<Login> {
  const stored = (await loadCredentials(env)).tokens[apiUrl];
  if (!renew && stored !== undefined && (await isValid(platform, stored))) {
    return { file: await saveCredentials(env, { apiUrl, token: stored }), secret: null };
  }
  const token = await platform.createAdminToken();
  if (renew) await revokeOthers(store, token.id);
  const file = await saveCredentials(env, { apiUrl, token: token.secret });
  return { file, secret: token.secret };
}

async function isValid(platform: Platform, secret: string): Promise<boolean> {
  try {
    await platform.authenticate(secret);
    return true;
  } catch (error) {
    if (isDinpError(error, "DINP_UNAUTHENTICATED")) return false;
    throw error;
  }
}

async function revokeOthers(store: StateStore, keep: string): Promise<void> {
  for await (const token of store.list("token")) {
    if (token.key !== keep) await store.commit([{ op: "delete", kind: "token", key: token.key }]);
  }
}
