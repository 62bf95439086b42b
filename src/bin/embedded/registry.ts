import {
  type Clock,
  DinpError,
  isDinpError,
  type Logger,
  messageOf,
  type Random,
  type Registry,
  type Spool,
  type StateStore,
} from "@dinp/core";
import type { UpRegistryOptions } from "@dinp/core/cli";
import { createOciRegistry, type OciLimits, type OciRegistry, type OciRegistryOptions } from "@dinp/core/oci";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { createFileSpool } from "@dinp/core/system";
import type { DataFolder } from "./data-folder.js";
import type { RegistryAccess } from "./registry-access.js";

export interface ImageRegistryOptions {
  readonly wanted: UpRegistryOptions;
  readonly access: RegistryAccess;
  readonly store: StateStore;
  readonly folder: DataFolder;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Where the platform's images are. */
export interface ImageRegistry {
  readonly registry: Registry;
  /** Null: in the data folder. */
  readonly url: string | null;
  /** Keeps what the registry may have to be sent again; null: it never has. */
  readonly spool: Spool | null;
  close(): Promise<void>;
}

const SETTING = "registry";
const IN_FOLDER = "folder";

/** A start waits for no more than a few seconds. */
const checkLimits: Partial<OciLimits> = { attempts: 2, connectMs: 5_000, responseMs: 10_000, idleMs: 5_000 };

/**
 * The registry that the first start chose. A new choice is recorded only when that registry can be read and written;
 * afterwards one that is away keeps nothing from starting, and the log says so. To be called before the store knows its
 * cluster: that tells a first start.
 */
export async function openImageRegistry(options: ImageRegistryOptions): Promise<ImageRegistry> {
  const { wanted, access, store, folder, logger } = options;
  const known = await knownRegistry(store);
  const chosen = choose(known, wanted);
  if (chosen === IN_FOLDER) {
    assertUnused(wanted);
    if (known !== chosen) await record(store, chosen);
    const registry = createOciLayoutRegistry({ dir: folder.registry });
    return { registry, url: null, spool: null, close: () => Promise.resolve() };
  }
  const spool = createFileSpool({ dir: folder.uploads });
  const client: OciRegistryOptions = {
    url: chosen,
    clock: options.clock,
    random: options.random,
    credentials: access.credentials,
    ...(access.ca === null ? {} : { ca: access.ca }),
    // Consented to on the command line, when it was chosen.
    plainHttp: chosen.startsWith("http:"),
    spool,
  };
  const checking = new AbortController();
  const checked = check(client, checking.signal);
  if (known !== chosen) {
    await checked;
    await record(store, chosen);
  }
  const told = checked.catch((error: unknown) => {
    if (!checking.signal.aborted) warn(logger, chosen, error);
  });
  const registry = createOciRegistry(client);
  return {
    registry,
    url: chosen,
    spool,
    close: async () => {
      checking.abort();
      await told;
      await registry.close();
    },
  };
}

/** Null at a first start. */
async function knownRegistry(store: StateStore): Promise<string | null> {
  const setting = await store.get("setting", SETTING);
  if (setting !== null) return setting.value.value;
  // Before there was a choice, images were in the data folder.
  return (await store.get("setting", "cluster-id")) === null ? null : IN_FOLDER;
}

function choose(known: string | null, { url, hasMoved }: UpRegistryOptions): string {
  if (known === null) return url ?? IN_FOLDER;
  if (url === null || url === known) return known;
  if (hasMoved && known !== IN_FOLDER) return url;
  const place = known === IN_FOLDER ? "in the data folder" : `in the registry ${known}`;
  throw new DinpError("DINP_INVALID", `This platform keeps its images ${place}, not in ${url}.`, {
    hint:
      known === IN_FOLDER
        ? "The first start decides that: leave --registry away, or begin with another folder (--data DIR)."
        : "Has that registry a new address, with all its images? Then add --registry-moved; else leave --registry away.",
  });
}

function assertUnused({ caFile, credentialsFile }: UpRegistryOptions): void {
  if (caFile === null && credentialsFile === null) return;
  const flag = caFile === null ? "--registry-credentials" : "--registry-ca";
  throw new DinpError("DINP_INVALID", `${flag} is given, but images are kept in the data folder.`, {
    hint: "Name the registry with --registry URL at the first start.",
  });
}

async function record(store: StateStore, value: string): Promise<void> {
  await store.commit([{ op: "put", kind: "setting", value: { key: SETTING, value } }]);
}

/** Reads and begins a write, and leaves nothing behind. Errors name the registry and what to change. */
async function check(client: OciRegistryOptions, signal: AbortSignal): Promise<void> {
  const registry = createOciRegistry({ ...client, limits: checkLimits });
  try {
    await registry.resolve("dinp-check", "none", { signal });
    await assertWritable(registry, signal);
  } catch (error) {
    throw signal.aborted || !isDinpError(error) ? error : explained(client.url, error);
  } finally {
    await registry.close();
  }
}

async function assertWritable(registry: OciRegistry, signal: AbortSignal): Promise<void> {
  const nowhere = `sha256:${"0".repeat(64)}`;
  try {
    await registry.mountBlob("dinp-check", nowhere, "dinp-check", { signal });
  } catch (error) {
    // Some registries want each repository made beforehand: that of the check need not be.
    if (!isDinpError(error, "DINP_UNAVAILABLE") || error.details["status"] !== 404) throw error;
  }
}

function explained(url: string, error: DinpError): DinpError {
  const { code, message, retryable, details, cause } = error;
  const hint = hintFor(error);
  return new DinpError(code, `The registry ${url} cannot be used: ${message}`, {
    retryable,
    details,
    cause,
    ...(hint === undefined ? {} : { hint }),
  });
}

function hintFor({ code, retryable, message, hint }: DinpError): string | undefined {
  if (code === "DINP_UNAUTHENTICATED")
    return "Give USER:PASSWORD in a file with --registry-credentials FILE, or set DINP_REGISTRY_USER and DINP_REGISTRY_PASSWORD.";
  if (message.includes("certificate"))
    return "Give the certificate of its authority with --registry-ca FILE.";
  if (retryable) return "See whether it runs and whether this machine gets through to it.";
  return hint;
}

function warn(logger: Logger, url: string, error: unknown): void {
  logger.warn("images cannot be read or stored now; what runs goes on running", {
    registry: url,
    error: messageOf(error),
    ...(isDinpError(error) && error.hint !== undefined ? { hint: error.hint } : {}),
  });
}
