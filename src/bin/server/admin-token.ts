import { mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { Platform, StateStore } from "@dinp/core";
import { settle } from "../host/settle.js";

export interface AdminTokenOptions {
  readonly platform: Pick<Platform, "createAdminToken">;
  readonly store: StateStore;
  /** This server's name: of several that start for the first time one makes the token. */
  readonly serverId: string;
  /** The file that it is written into: nobody else may read it. */
  readonly file: string;
  /** Make another one, and let all others of admins stop working. */
  readonly renew: boolean;
}

const WRITTEN = "first-token-written";

/**
 * Makes the cluster's first admin token, or another one; null when there was nothing to make, else the file. When a
 * crash came before the first one was in the file, another one is made: nobody can know that one.
 */
export async function ensureAdminToken(options: AdminTokenOptions): Promise<string | null> {
  const { platform, store, serverId, file, renew } = options;
  const maker = await settle(store, "first-token-maker", serverId);
  const isWritten = (await store.get("setting", WRITTEN)) !== null;
  if (!renew && (maker !== serverId || isWritten)) return null;
  const { id, secret } = await platform.createAdminToken();
  await writePrivate(file, `${secret}\n`);
  // Only once the new one is safe.
  if (renew) await revokeOtherAdmins(store, id);
  await settle(store, WRITTEN, serverId);
  return file;
}

async function revokeOtherAdmins(store: StateStore, kept: string): Promise<void> {
  for await (const { key, value } of store.list("token")) {
    if (key !== kept && value.role === "admin") await store.commit([{ op: "delete", kind: "token", key }]);
  }
}

async function writePrivate(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.tmp`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}
