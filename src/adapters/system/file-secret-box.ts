import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { DinpError, type SecretBox } from "@dinp/core";
import { keyFileError, makeKeyFile, readKeyFile, versionOf, type KeyFileContent } from "./secret-key-file.js";
import type { SecretKey } from "./secret-keys.js";

const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** `v2:KEY:BASE64`; `v1:BASE64` was sealed when a file had one key only. BASE64 is nonce, tag and ciphertext. */
const SEALED = /^(?:v1|v2:(k[0-9a-f]{12})):([A-Za-z0-9+/]*={0,2})$/;

export interface FileSecretBoxOptions {
  /** Holds the keys, one or several; of mode 0600. Whoever has it can open what was sealed. */
  readonly keyFile: string;
  /**
   * Whether it is made when there is none and a secret is to be sealed. Default true. Servers that share a file must not: each
   * would make its own.
   */
  readonly make?: boolean;
}

/**
 * A {@link SecretBox} with its keys in a file: AES-256-GCM (NIST SP 800-38D) with a random nonce for each secret, the purpose
 * being authenticated. The first key seals, all of them open; a file that is replaced is read anew. Errors: `DINP_CORRUPT`
 * (also when the key is not there any more), `DINP_INVALID` for a file that others may read, `DINP_UNAVAILABLE`.
 */
export function createFileSecretBox({ keyFile, make = true }: FileSecretBoxOptions): SecretBox {
  const ring = new KeyRing(keyFile);
  return {
    async seal(secret, purpose) {
      let [key] = await ring.keys();
      if (key === undefined && make) {
        await ring.make();
        [key] = await ring.keys();
      }
      if (key === undefined) throw missing(keyFile);
      return sealWith(key, secret, purpose);
    },
    async open(sealed, purpose) {
      const [, name, base64] = SEALED.exec(sealed) ?? [];
      const bytes = Buffer.from(base64 ?? "", "base64");
      if (bytes.length < NONCE_BYTES + TAG_BYTES) throw corrupt(keyFile, "it is damaged");
      const keys = await ring.keys();
      const fitting = name === undefined ? keys : keys.filter((key) => key.name === name);
      if (fitting.length === 0) {
        const which = name === undefined ? "there are no keys" : `its key, ${name}, is not there`;
        throw corrupt(keyFile, which);
      }
      for (const key of fitting) {
        const opened = openWith(key, bytes, purpose);
        if (opened !== null) return opened;
      }
      throw corrupt(keyFile, "it was sealed with another key or for something else, or was changed");
    },
    keyNameOf: (sealed) => SEALED.exec(sealed)?.[1] ?? null,
    keyNames: async () => (await ring.keys()).map(({ name }) => name),
  };
}

/** The keys of a file, which is read when it was replaced. */
class KeyRing {
  readonly #keyFile: string;
  #known: KeyFileContent | null = null;

  constructor(keyFile: string) {
    this.#keyFile = keyFile;
  }

  /** In the file's order; none when there is no file. */
  async keys(): Promise<readonly SecretKey[]> {
    try {
      if (this.#known === null || this.#known.version !== (await versionOf(this.#keyFile)))
        this.#known = await readKeyFile(this.#keyFile);
      return this.#known?.keys ?? [];
    } catch (error) {
      this.#known = null;
      throw keyFileError(this.#keyFile, error);
    }
  }

  async make(): Promise<void> {
    try {
      await makeKeyFile(this.#keyFile);
    } catch (error) {
      throw keyFileError(this.#keyFile, error);
    }
  }
}

function sealWith(key: SecretKey, secret: string, purpose: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key.bytes, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(purpose, "utf8"));
  const sealed = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
  return `v2:${key.name}:${Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64")}`;
}

/** Null when the key does not fit. */
function openWith(key: SecretKey, bytes: Buffer, purpose: string): string | null {
  const decipher = createDecipheriv(CIPHER, key.bytes, bytes.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.from(purpose, "utf8"));
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  const opened = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
  try {
    return Buffer.concat([opened, decipher.final()]).toString("utf8");
  } catch {
    return null;
  }
}

function missing(keyFile: string): DinpError {
  return new DinpError("DINP_CORRUPT", `Nothing can be sealed: there is no key in ${keyFile}.`, {
    hint: `Restore it from a backup, or make the first key with "dinp secrets rotate --key-file ${keyFile}".`,
  });
}

function corrupt(keyFile: string, why: string): DinpError {
  return new DinpError("DINP_CORRUPT", `A stored secret cannot be opened with ${keyFile}: ${why}.`, {
    hint: `Restore ${keyFile} from the backup that the store comes from, or give the secret again.`,
  });
}
