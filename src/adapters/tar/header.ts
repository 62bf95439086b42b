import { Buffer } from "node:buffer";

const BLOCK = 512;
const OCTAL_SIZE_MAX = 0o77777777777;
const OCTAL_OWNER_MAX = 0o7777777;
/** So many octal digits are a 32-bit integer, which is counted with faster. */
const INTEGER_DIGITS = 10;
const ASCII = /^[\x20-\x7e]*$/;

/** What a tar header says of one entry; times are always 0. */
export interface TarHeader {
  /** A directory's ends with `/`. */
  readonly path: string;
  readonly type: "file" | "directory" | "symlink" | "hardlink";
  readonly mode: number;
  readonly size: number;
  readonly linkTarget: string | null;
  readonly uid: number;
  readonly gid: number;
}

const TYPE_FLAGS: Readonly<Record<TarHeader["type"], string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  directory: "5",
};

/** The header blocks of an entry: POSIX ustar, preceded by a PAX extended header where ustar has no room (POSIX.1-2017, pax). */
export function encodeTarHeader(header: TarHeader): Uint8Array {
  const linkTarget = header.linkTarget ?? "";
  const split = splitPath(header.path);
  const records: string[] = [];
  if (split === null) records.push(paxRecord("path", header.path));
  if (!fits(linkTarget)) records.push(paxRecord("linkpath", linkTarget));
  if (header.size > OCTAL_SIZE_MAX) records.push(paxRecord("size", String(header.size)));
  for (const key of ["uid", "gid"] as const)
    if (header[key] > OCTAL_OWNER_MAX) records.push(paxRecord(key, String(header[key])));

  const name = split ?? { prefix: "", name: "PaxEntry" };
  const main = block({
    prefix: name.prefix,
    name: name.name,
    mode: header.mode,
    size: Math.min(header.size, OCTAL_SIZE_MAX),
    flag: TYPE_FLAGS[header.type],
    linkTarget: fits(linkTarget) ? linkTarget : "PaxEntry",
    uid: Math.min(header.uid, OCTAL_OWNER_MAX),
    gid: Math.min(header.gid, OCTAL_OWNER_MAX),
  });
  if (records.length === 0) return main;

  const extended = new TextEncoder().encode(records.join(""));
  const first = block({
    prefix: "",
    name: "PaxHeader",
    mode: 0o644,
    size: extended.length,
    flag: "x",
    linkTarget: "",
    uid: 0,
    gid: 0,
  });
  const bytes = new Uint8Array(2 * BLOCK + extended.length + paddingOf(extended.length));
  bytes.set(first, 0);
  bytes.set(extended, BLOCK);
  bytes.set(main, bytes.length - BLOCK);
  return bytes;
}

/** How many zero bytes follow content of `size` bytes. */
export function paddingOf(size: number): number {
  const rest = size % BLOCK;
  return rest === 0 ? 0 : BLOCK - rest;
}

function fits(text: string): boolean {
  return text.length <= 100 && ASCII.test(text);
}

/** The path as ustar's `prefix` and `name`, or null when it has no room there. */
function splitPath(path: string): { readonly prefix: string; readonly name: string } | null {
  if (fits(path)) return { prefix: "", name: path };
  if (!ASCII.test(path) || path.length > 256) return null;
  const slash = path.lastIndexOf("/", Math.min(155, path.length - 2));
  if (slash <= 0 || path.length - slash - 1 > 100) return null;
  return { prefix: path.slice(0, slash), name: path.slice(slash + 1) };
}

/** `LENGTH key=value\n`, where the length counts its own digits. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = new TextEncoder().encode(rest).length;
  let length = bytes;
  while (bytes + String(length).length !== length) length = bytes + String(length).length;
  return String(length) + rest;
}

/** What all headers have in common: owners, times and devices of 0, and the format's name. */
const commonBlock = ((): { readonly bytes: Uint8Array; readonly sum: number } => {
  const bytes = new Uint8Array(BLOCK);
  for (const offset of [108, 116, 329, 337]) putOctal(bytes, 0, offset, 7);
  putOctal(bytes, 0, 136, 11);
  put(bytes, "        ", 148);
  put(bytes, "ustar", 257);
  put(bytes, "00", 263);
  return { bytes, sum: bytes.reduce((total, byte) => total + byte, 0) };
})();

interface BlockFields {
  readonly prefix: string;
  readonly name: string;
  readonly mode: number;
  readonly size: number;
  readonly flag: string;
  readonly linkTarget: string;
  readonly uid: number;
  readonly gid: number;
}

function block(fields: BlockFields): Uint8Array {
  const bytes = Buffer.allocUnsafe(BLOCK);
  bytes.set(commonBlock.bytes);
  const sum =
    commonBlock.sum +
    putOwner(bytes, fields) +
    put(bytes, fields.name, 0) +
    putOctal(bytes, fields.mode & 0o7777, 100, 7) +
    putOctal(bytes, fields.size, 124, 11) +
    put(bytes, fields.flag, 156) +
    put(bytes, fields.linkTarget, 157) +
    put(bytes, fields.prefix, 345);
  putOctal(bytes, sum, 148, 6);
  put(bytes, "\0 ", 154);
  return bytes;
}

/** Writes an owner over the common one; gives what that adds to the sum. */
function putOwner(bytes: Uint8Array, { uid, gid }: BlockFields): number {
  if (uid === 0 && gid === 0) return 0;
  const zeros = 2 * 7 * "0".charCodeAt(0);
  return putOctal(bytes, uid, 108, 7) + putOctal(bytes, gid, 116, 7) - zeros;
}

/** Writes the text where nothing is yet; gives the sum of its bytes. */
function put(bytes: Uint8Array, text: string, offset: number): number {
  let sum = 0;
  for (let i = 0; i < text.length; i += 1) {
    const byte = text.charCodeAt(i);
    bytes[offset + i] = byte;
    sum += byte;
  }
  return sum;
}

/** Writes the value's last octal digits; gives the sum of their bytes. */
function putOctal(bytes: Uint8Array, value: number, offset: number, digits: number): number {
  if (digits > INTEGER_DIGITS) {
    const high = Math.floor(value / 8 ** INTEGER_DIGITS);
    const headDigits = digits - INTEGER_DIGITS;
    return (
      putOctal(bytes, high, offset, headDigits) +
      putOctal(bytes, value - high * 8 ** INTEGER_DIGITS, offset + headDigits, INTEGER_DIGITS)
    );
  }
  let sum = 0;
  for (let i = digits - 1, rest = value | 0; i >= 0; i -= 1, rest >>>= 3) {
    const byte = 0x30 + (rest & 7);
    bytes[offset + i] = byte;
    sum += byte;
  }
  return sum;
}
