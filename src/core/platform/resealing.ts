import { DinpError, isDinpError, messageOf } from "../model/errors.js";
import type { RegistryAccount } from "../model/records.js";
import type { SecretVersion } from "../model/secrets.js";
import type { Stored, Write } from "../ports/state-store.js";
import { withSignal } from "./app-records.js";
import { toRecord } from "./change.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import { registryPurpose, secretPurpose } from "./sealing.js";
import { noSecrets } from "./without.js";
import type { SecretKeysView } from "./views.js";

/** In one go; the rest is sealed anew by the next ones. */
const RESEALED_MAX = 500;

/** Something sealed, and the write that stores it sealed anew. */
interface Sealed {
  readonly id: string;
  readonly sealed: string;
  readonly purpose: string;
  readonly write: (sealed: string) => Write;
}

/**
 * Seals what older keys sealed with the present one, at most 500 in one go; resolves to how many. What is left is found by the
 * next go, whoever runs it. What cannot be opened stays as it is, with a warning. An event says when older keys may go.
 */
export async function resealSecrets(context: PlatformContext, options: ReadOptions): Promise<number> {
  if (context.secrets === noSecrets) return 0;
  const { secrets, logger } = context;
  const [present] = await secrets.keyNames();
  if (present === undefined) return 0;
  let done = 0;
  let left = 0;
  for await (const found of sealedRecords(context, options)) {
    if (secrets.keyNameOf(found.sealed) === present) continue;
    if (done === RESEALED_MAX) return done;
    try {
      const value = await secrets.open(found.sealed, found.purpose);
      const sealed = await secrets.seal(value, found.purpose);
      await context.store.commit([found.write(sealed)], withSignal(options));
      done += 1;
    } catch (error) {
      if (options.signal?.aborted === true || (isDinpError(error) && error.retryable)) throw error;
      left += 1;
      // Another record of it was written meanwhile.
      if (isDinpError(error, "DINP_CONFLICT")) continue;
      logger.warn("a secret cannot be sealed anew", { secret: found.id, error: messageOf(error) });
    }
  }
  if (done > 0 && left === 0) await tellDone(context, present, options);
  return done;
}

async function tellDone(context: PlatformContext, key: string, options: ReadOptions): Promise<void> {
  const message = `all secrets are sealed with the key ${key}: older keys are not needed any more`;
  const event = { type: "secrets.resealed", message };
  const value = toRecord(context, event, "leader", context.clock.now());
  await context.store.commit(
    [{ op: "put", kind: "event", value, ifRevision: "absent" }],
    withSignal(options),
  );
}

/** Which keys there are, and how much each has sealed: one that has sealed nothing, and does not seal, may go. */
export async function listSecretKeys(
  context: PlatformContext,
  options: ReadOptions,
): Promise<SecretKeysView> {
  const { secrets } = context;
  const present = await secrets.keyNames();
  const counts = new Map<string, number>(present.map((name) => [name, 0]));
  let unnamed = 0;
  for await (const { sealed } of sealedRecords(context, options)) {
    const name = secrets.keyNameOf(sealed);
    if (name === null) unnamed += 1;
    else counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const keys = [...counts].map(([name, sealed]) => ({
    name,
    state: keyState(present, name),
    sealed,
  }));
  return { keys, unnamed };
}

function keyState(present: readonly string[], name: string): "seals" | "opens" | "missing" {
  if (!present.includes(name)) return "missing";
  return present[0] === name ? "seals" : "opens";
}

async function* sealedRecords(
  { store }: PlatformContext,
  options: ReadOptions,
): AsyncGenerator<Sealed, void, undefined> {
  for await (const stored of store.list("secretVersion", withSignal(options))) yield ofVersion(stored);
  for await (const stored of store.list("registryAccount", withSignal(options))) {
    const { sealedPassword } = stored.value;
    if (sealedPassword !== null) yield ofAccount(stored, stored.value, sealedPassword);
  }
}

function ofVersion({ key, revision, value }: Stored<"secretVersion">): Sealed {
  const write = (sealed: string): Write => {
    const version: SecretVersion = { ...value, sealed };
    return { op: "put", kind: "secretVersion", value: version, ifRevision: revision };
  };
  return { id: `secret ${key}`, sealed: value.sealed, purpose: secretPurpose(value), write };
}

function ofAccount(
  { key, revision }: Stored<"registryAccount">,
  value: RegistryAccount,
  sealed: string,
): Sealed {
  const write = (sealedPassword: string): Write => {
    const account: RegistryAccount = { ...value, sealedPassword };
    return { op: "put", kind: "registryAccount", value: account, ifRevision: revision };
  };
  return { id: `registry ${key}`, sealed, purpose: registryPurpose(value.teamId, value.host), write };
}

/** Runs it, and only warns when the keys cannot be used: nothing else has to wait for them. */
export async function tryReseal(context: PlatformContext, options: ReadOptions): Promise<void> {
  try {
    await resealSecrets(context, options);
  } catch (error) {
    if (options.signal?.aborted === true || !(error instanceof DinpError)) throw error;
    context.logger.warn("secrets could not be sealed anew", { error: error.message });
  }
}
