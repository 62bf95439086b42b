import { DinpError, isDinpError } from "../model/errors.js";
import { registryAccountKey } from "../model/kinds.js";
import { secretVersionKey, type SecretVersion } from "../model/secrets.js";
import type { StateStore } from "../ports/state-store.js";
import type { SecretBox } from "../ports/system.js";
import { withSignal } from "./app-records.js";
import type { ReadOptions } from "./context.js";

/** What sealing needs. */
export interface SealingContext {
  readonly store: StateStore;
  readonly secrets: SecretBox;
}

/** Moved to the record of another registry or team, a password cannot be opened. */
export function registryPurpose(teamId: string, host: string): string {
  return `registry ${registryAccountKey(teamId, host)}`;
}

/** Moved to the record of another app, name or version, a secret cannot be opened. */
export function secretPurpose({ appId, name, version }: Omit<SecretVersion, "sealed" | "bytes">): string {
  return `secret ${secretVersionKey(appId, name, version)}`;
}

/**
 * Seals what is to be stored. `DINP_UNAVAILABLE` without a key, also while one could be made but something was sealed before: a
 * new key would hide that the old one is lost.
 */
export async function seal(
  { store, secrets }: SealingContext,
  value: string,
  purpose: string,
  options: ReadOptions,
): Promise<string> {
  if ((await secrets.keyNames()).length === 0 && (await isAnythingSealed(store, options))) {
    throw new DinpError(
      "DINP_UNAVAILABLE",
      "The keys of secrets are lost: secrets are stored, and there is none.",
      {
        hint: 'Restore the key file from a backup; when it is gone for good, make one with "dinp secrets rotate" and give each secret again.',
      },
    );
  }
  try {
    return await secrets.seal(value, purpose);
  } catch (error) {
    // Nothing that is stored is damaged: whoever asked is told what the box is in want of.
    if (!isDinpError(error, "DINP_CORRUPT")) throw error;
    const { message, hint } = error;
    throw new DinpError("DINP_UNAVAILABLE", message, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

async function isAnythingSealed(store: StateStore, options: ReadOptions): Promise<boolean> {
  for await (const record of store.list("secretVersion", { limit: 1, ...withSignal(options) }))
    return record.key !== "";
  for await (const { value } of store.list("registryAccount", withSignal(options)))
    if (value.sealedPassword !== null) return true;
  return false;
}
