import { createHash, randomBytes } from "node:crypto";
import { DinpError } from "@dinp/core";

export const KEY_BYTES = 32;
/** More are not kept: whoever changes keys has long sealed everything anew. */
export const KEYS_MAX = 16;

const NAME_CONTEXT = "dinp key of secrets\n";
const LINE = /^(k[0-9a-f]{12}):([A-Za-z0-9+/]{43}=)$/;

const HEADER = `# Keys of secrets: the first one seals, all of them open. Whoever has this file can open what was sealed.
# A key may go when "dinp secrets keys" says that nothing is sealed with it any more.
`;

/** A key, with a name that tells nothing of it. */
export interface SecretKey {
  readonly name: string;
  readonly bytes: Buffer;
}

export function newSecretKey(): SecretKey {
  return keyOf(randomBytes(KEY_BYTES));
}

function keyOf(bytes: Buffer): SecretKey {
  const hash = createHash("sha256").update(NAME_CONTEXT).update(bytes).digest("hex");
  return { name: `k${hash.slice(0, 12)}`, bytes };
}

/**
 * The keys of a key file, in its order. Either the file is one key, its 32 bytes and nothing else; or it is text, with one
 * `NAME:BASE64` a line between empty lines and comments (`#`). `DINP_CORRUPT` names the line, never what is in it.
 */
export function parseSecretKeys(content: Buffer, file: string): readonly SecretKey[] {
  if (content.length === KEY_BYTES) return [keyOf(content)];
  const keys: SecretKey[] = [];
  for (const [index, text] of content.toString("latin1").split("\n").entries()) {
    const line = text.trim();
    if (line === "" || line.startsWith("#")) continue;
    const [, name, base64] = LINE.exec(line) ?? [];
    const key = base64 === undefined ? null : keyOf(Buffer.from(base64, "base64"));
    if (key === null || key.name !== name)
      throw damagedKeyFile(file, `its line ${String(index + 1)} is not a key`);
    if (keys.some((known) => known.name === name))
      throw damagedKeyFile(file, `it has the key ${key.name} twice`);
    keys.push(key);
  }
  if (keys.length === 0) throw damagedKeyFile(file, "it holds no key");
  if (keys.length > KEYS_MAX) throw damagedKeyFile(file, `it holds more than ${String(KEYS_MAX)} keys`);
  return keys;
}

/** The text of a key file. */
export function formatSecretKeys(keys: readonly SecretKey[]): string {
  return HEADER + keys.map(({ name, bytes }) => `${name}:${bytes.toString("base64")}\n`).join("");
}

/** `why` never says what is in it. */
export function damagedKeyFile(file: string, why: string): DinpError {
  return new DinpError("DINP_CORRUPT", `${file} is not a file of keys of secrets: ${why}.`, {
    hint: "Restore it from a backup.",
  });
}
