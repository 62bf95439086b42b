import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { link, mkdir, open, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { DinpError, isDinpError, messageOf, type SecretBox } from "@dinp/core";

const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PREFIX = "v1:";

export interface FileSecretBoxOptions {
  /** Holds the key, and is made (mode 0600) when the first secret is sealed. Whoever has it can open what was sealed. */
  readonly keyFile: string;
}

/**
 * A {@link SecretBox} with a key in a file: AES-256-GCM (NIST SP 800-38D) with a random nonce for each secret, the purpose
 * being authenticated. Errors: `DINP_CORRUPT` (also when the key is not there any more), `DINP_INVALID` for a key file that
 * others may read, `DINP_UNAVAILABLE`.
 */
export function createFileSecretBox({ keyFile }: FileSecretBoxOptions): SecretBox {
  let known: Promise<Buffer> | null = null;
  const keyOf = (make: boolean): Promise<Buffer> => {
    known ??= loadKey(keyFile, make).catch((error: unknown) => {
      known = null;
      throw error;
    });
    return known;
  };
  return {
    async seal(secret, purpose) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, await keyOf(true), nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(purpose, "utf8"));
      const sealed = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
      return PREFIX + Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64");
    },
    async open(sealed, purpose) {
      const key = await keyOf(false);
      const bytes = Buffer.from(sealed.slice(PREFIX.length), "base64");
      if (!sealed.startsWith(PREFIX) || bytes.length < NONCE_BYTES + TAG_BYTES) throw corrupt(keyFile);
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(purpose, "utf8"));
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      try {
        const opened = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
        return Buffer.concat([opened, decipher.final()]).toString("utf8");
      } catch (error) {
        throw corrupt(keyFile, error);
      }
    },
  };
}

async function loadKey(keyFile: string, make: boolean): Promise<Buffer> {
  try {
    return (await readKey(keyFile)) ?? (await makeKey(keyFile, make));
  } catch (error) {
    if (isDinpError(error)) throw error;
    throw new DinpError("DINP_UNAVAILABLE", `The key of secrets cannot be used: ${messageOf(error)}`, {
      cause: error,
      hint: `See to it that this user can read and write ${keyFile}.`,
    });
  }
}

/** Null when there is none. */
async function readKey(keyFile: string): Promise<Buffer | null> {
  const stats = await stat(keyFile).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  });
  if (stats === null) return null;
  if ((stats.mode & 0o077) !== 0) {
    throw new DinpError("DINP_INVALID", `Others may read the key of secrets, ${keyFile}.`, {
      hint: `Run: chmod 600 ${keyFile}`,
    });
  }
  const file = await open(keyFile, "r");
  try {
    const key = await file.readFile();
    if (key.length === KEY_BYTES) return key;
    throw new DinpError("DINP_CORRUPT", `${keyFile} is not the key of secrets.`, {
      hint: "Restore it from a backup of the data folder.",
    });
  } finally {
    await file.close();
  }
}

/** Whole or not there: of two that make one at the same time, both get the first one's. */
async function makeKey(keyFile: string, make: boolean): Promise<Buffer> {
  if (!make) throw corrupt(keyFile);
  await mkdir(dirname(keyFile), { recursive: true, mode: 0o700 });
  const temporary = `${keyFile}.${randomBytes(8).toString("hex")}`;
  const file = await open(temporary, "wx", 0o600);
  try {
    await file.writeFile(randomBytes(KEY_BYTES));
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(temporary, keyFile).catch((error: unknown) => {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    });
  } finally {
    await rm(temporary, { force: true });
  }
  const folder = await open(dirname(keyFile), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
  return (await readKey(keyFile)) ?? (await makeKey(keyFile, make));
}

function corrupt(keyFile: string, cause?: unknown): DinpError {
  return new DinpError("DINP_CORRUPT", "A stored secret cannot be opened: it was sealed with another key.", {
    cause,
    hint: `Restore ${keyFile} from the backup that the store comes from, or give the secret again.`,
  });
}
