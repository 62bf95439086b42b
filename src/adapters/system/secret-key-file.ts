import { randomBytes } from "node:crypto";
import { link, mkdir, open, realpath, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { DinpError, isDinpError, messageOf } from "@dinp/core";
import {
  damagedKeyFile,
  formatSecretKeys,
  KEYS_MAX,
  newSecretKey,
  parseSecretKeys,
  type SecretKey,
} from "./secret-keys.js";

/** Far more than {@link KEYS_MAX} keys take. */
const FILE_BYTES_MAX = 64 * 1024;

/** A key file as it was when it was read; `version` differs when it may have changed. */
export interface KeyFileContent {
  readonly keys: readonly SecretKey[];
  readonly version: string;
}

/** What says whether a key file was replaced; null when there is none. */
export async function versionOf(keyFile: string): Promise<string | null> {
  try {
    const { ino, mtimeNs, size, mode, uid } = await stat(keyFile, { bigint: true });
    return [ino, mtimeNs, size, mode, uid].join(" ");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return null;
    throw error;
  }
}

/** Null when there is none. `DINP_INVALID` for one that others may read, `DINP_CORRUPT`. */
export async function readKeyFile(keyFile: string): Promise<KeyFileContent | null> {
  const version = await versionOf(keyFile);
  if (version === null) return null;
  const file = await open(keyFile, "r");
  try {
    const { mode, size, uid } = await file.stat();
    if (mayOthersRead(mode, uid)) {
      throw new DinpError("DINP_INVALID", `Others may read the keys of secrets, ${keyFile}.`, {
        hint: `Run: chmod 600 ${keyFile}`,
      });
    }
    if (size > FILE_BYTES_MAX) throw damagedKeyFile(keyFile, "it is too large");
    return { keys: parseSecretKeys(await file.readFile(), keyFile), version };
  } finally {
    await file.close();
  }
}

/**
 * A file of root's may be read by its group, as PostgreSQL takes keys: systemd passes a credential on as root's, with an access
 * list for the service's user, and the bits of the group are that list's.
 */
function mayOthersRead(mode: number, uid: number): boolean {
  return (mode & (uid === 0 ? 0o037 : 0o077)) !== 0;
}

/** Makes a file with one key unless there is one. Of two that make it at the same time, both get the first one's. */
export async function makeKeyFile(keyFile: string): Promise<void> {
  await mkdir(dirname(keyFile), { recursive: true, mode: 0o700 });
  const temporary = `${keyFile}.${randomBytes(8).toString("hex")}`;
  try {
    await writeNew(temporary, [newSecretKey()]);
    await link(temporary, keyFile).catch((error: unknown) => {
      if (!hasCode(error, "EEXIST")) throw error;
    });
  } finally {
    await rm(temporary, { force: true });
  }
  await syncFolder(dirname(keyFile));
}

/**
 * Adds a key to a key file, which from then on seals; the present ones go on opening. Without a file, makes one. The file is
 * replaced as a whole, and keeps its owner. Resolves to the names of its keys, the new one first.
 *
 * `DINP_LOCKED` while another key is being added, `DINP_INVALID` (others may read the file, or it holds too many keys),
 * `DINP_CORRUPT` for a file that is none of keys, `DINP_UNAVAILABLE`.
 */
export async function addSecretKey({ keyFile }: { readonly keyFile: string }): Promise<readonly string[]> {
  try {
    return await addKey(keyFile);
  } catch (error) {
    throw keyFileError(keyFile, error);
  }
}

async function addKey(keyFile: string): Promise<readonly string[]> {
  if ((await versionOf(keyFile)) === null) {
    await makeKeyFile(keyFile);
    return namesOf((await readKeyFile(keyFile))?.keys ?? []);
  }
  const target = await realpath(keyFile);
  const next = `${target}.new`;
  // Also keeps others from adding one: of two that read the same file, one would lose its key.
  const file = await openNext(next);
  try {
    const keys = [newSecretKey(), ...((await readKeyFile(target))?.keys ?? [])];
    if (keys.length > KEYS_MAX) throw tooMany(keyFile);
    await writeKeys(file, keys);
    const { uid, gid } = await stat(target);
    await file.chown(uid, gid);
    await rename(next, target);
    await syncFolder(dirname(target));
    return namesOf(keys);
  } catch (error) {
    await rm(next, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

async function openNext(next: string): Promise<FileHandle> {
  try {
    return await open(next, "wx", 0o600);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
    throw new DinpError("DINP_LOCKED", `Another key is being added: ${next} is there.`, {
      cause: error,
      hint: `Wait until it is done; when nothing is adding one any more, remove ${next}.`,
    });
  }
}

async function writeNew(path: string, keys: readonly SecretKey[]): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await writeKeys(file, keys);
  } finally {
    await file.close();
  }
}

async function writeKeys(file: FileHandle, keys: readonly SecretKey[]): Promise<void> {
  await file.writeFile(formatSecretKeys(keys));
  await file.sync();
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** What a failure of the file means to those who asked for a secret. */
export function keyFileError(keyFile: string, error: unknown): DinpError {
  if (isDinpError(error)) return error;
  return new DinpError("DINP_UNAVAILABLE", `The keys of secrets cannot be used: ${messageOf(error)}`, {
    cause: error,
    hint: `See to it that this user can read and write ${keyFile}.`,
  });
}

function tooMany(keyFile: string): DinpError {
  return new DinpError("DINP_INVALID", `${keyFile} has ${String(KEYS_MAX)} keys, and more are not kept.`, {
    hint: 'Remove those of which "dinp secrets keys" says that nothing is sealed with them.',
  });
}

function namesOf(keys: readonly SecretKey[]): readonly string[] {
  return keys.map(({ name }) => name);
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
