const BLOCK = 512;
const OCTAL_SIZE_MAX = 0o77777777777;
const ASCII = /^[\x20-\x7e]*$/;

/** What a tar header says of one entry; times and owners are always 0. */
export interface TarHeader {
  /** A directory's ends with `/`. */
  readonly path: string;
  readonly type: "file" | "directory" | "symlink" | "hardlink";
  readonly mode: number;
  readonly size: number;
  readonly linkTarget: string | null;
}

const TYPE_FLAGS: Readonly<Record<TarHeader["type"], string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  directory: "5",
};

/** The header blocks of an entry: POSIX ustar, preceded by a PAX extended header where ustar has no room (POSIX.1-2017, pax). */
export function encodeTarHeader(header: TarHeader): Uint8Array {
  const encoder = new TextEncoder();
  const linkTarget = header.linkTarget ?? "";
  const split = splitPath(header.path);
  const records: string[] = [];
  if (split === null) records.push(paxRecord("path", header.path));
  if (!fits(linkTarget)) records.push(paxRecord("linkpath", linkTarget));
  if (header.size > OCTAL_SIZE_MAX) records.push(paxRecord("size", String(header.size)));

  const name = split ?? { prefix: "", name: "PaxEntry" };
  const main = block({
    ...name,
    mode: header.mode,
    size: Math.min(header.size, OCTAL_SIZE_MAX),
    flag: TYPE_FLAGS[header.type],
    linkTarget: fits(linkTarget) ? linkTarget : "PaxEntry",
  });
  if (records.length === 0) return main;

  const extended = encoder.encode(records.join(""));
  const first = block({
    prefix: "",
    name: "PaxHeader",
    mode: 0o644,
    size: extended.length,
    flag: "x",
    linkTarget: "",
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

interface BlockFields {
  readonly prefix: string;
  readonly name: string;
  readonly mode: number;
  readonly size: number;
  readonly flag: string;
  readonly linkTarget: string;
}

function block(fields: BlockFields): Uint8Array {
  const bytes = new Uint8Array(BLOCK);
  const put = (text: string, offset: number): void => {
    for (let i = 0; i < text.length; i += 1) bytes[offset + i] = text.charCodeAt(i);
  };
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, "0");
  put(fields.name, 0);
  put(octal(fields.mode & 0o7777, 7), 100);
  put(octal(0, 7), 108);
  put(octal(0, 7), 116);
  put(octal(fields.size, 11), 124);
  put(octal(0, 11), 136);
  put("        ", 148);
  put(fields.flag, 156);
  put(fields.linkTarget, 157);
  put("ustar", 257);
  put("00", 263);
  put(octal(0, 7), 329);
  put(octal(0, 7), 337);
  put(fields.prefix, 345);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  put(`${octal(sum, 6)}\0 `, 148);
  return bytes;
}
