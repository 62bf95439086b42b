import type { Buffer } from "node:buffer";

export const blockBytes = 512;

const CHECKSUM_START = 148;
const CHECKSUM_END = 156;
const NUL = 0;
const SPACE = 0x20;

/**
 * What a header block stands for. `file`: also a directory of before POSIX, which the end of its path alone tells; `other`: a
 * device, pipe, sparse file or a kind that is not known here.
 */
export type HeaderKind =
  | "file"
  | "hardlink"
  | "symlink"
  | "directory"
  | "pax"
  | "pax-global"
  | "gnu-long-path"
  | "gnu-long-link"
  | "other";

/** A header block's own fields, before PAX records and GNU's long names change them. */
export interface DecodedHeader {
  readonly kind: HeaderKind;
  readonly path: string;
  /** At most 0o7777; 0 for what is no number. */
  readonly mode: number;
  /** NaN for what is no number, or none that can be counted with. */
  readonly size: number;
  readonly linkTarget: string | null;
}

/**
 * Reads a block of 512 bytes: POSIX.1-1988 ustar, GNU's and the V7 format, which has no magic. `empty`: nothing but
 * zeros beside the checksum, as at an archive's end. `damaged`: the checksum is neither the sum of the bytes as POSIX
 * asks for it nor the sum of signed ones, which old programs wrote.
 */
export function decodeHeader(block: Buffer): DecodedHeader | "empty" | "damaged" {
  const sum = sumOutsideChecksum(block);
  if (sum === 0) return "empty";
  const written = numberAt(block, CHECKSUM_START, CHECKSUM_END) - SPACE * (CHECKSUM_END - CHECKSUM_START);
  if (written !== sum && written !== sum - 256 * highBytesOutsideChecksum(block)) return "damaged";
  const mode = numberAt(block, 100, 108);
  return {
    kind: kindOf(block[156] ?? 0),
    path: pathOf(block),
    mode: Number.isNaN(mode) ? 0 : mode & 0o7777,
    size: numberAt(block, 124, 136),
    linkTarget: block[157] === NUL ? null : textAt(block, 157, 257),
  };
}

/** The text up to the first NUL. */
export function textAt(bytes: Buffer, start: number, end: number): string {
  let at = start;
  while (at < end && bytes[at] !== NUL) at += 1;
  return bytes.toString("utf8", start, at);
}

function sumOutsideChecksum(block: Buffer): number {
  let sum = 0;
  for (let i = 0; i < CHECKSUM_START; i += 1) sum += block[i] ?? 0;
  for (let i = CHECKSUM_END; i < blockBytes; i += 1) sum += block[i] ?? 0;
  return sum;
}

function highBytesOutsideChecksum(block: Buffer): number {
  return block.reduce(
    (count, byte, i) => (byte > 127 && (i < CHECKSUM_START || i >= CHECKSUM_END) ? count + 1 : count),
    0,
  );
}

function pathOf(block: Buffer): string {
  const name = textAt(block, 0, 100);
  // GNU's magic is followed by a space and keeps other things where POSIX has the prefix.
  const isPosix = block[345] !== NUL && block.toString("latin1", 257, 263) === "ustar\0";
  return isPosix ? `${textAt(block, 345, 500)}/${name}` : name;
}

function kindOf(flag: number): HeaderKind {
  switch (String.fromCharCode(flag)) {
    case "\0":
    case "0":
      return "file";
    case "1":
      return "hardlink";
    case "2":
      return "symlink";
    case "5":
      return "directory";
    case "7":
      return "file";
    case "x":
      return "pax";
    case "g":
      return "pax-global";
    case "L":
    case "N":
      return "gnu-long-path";
    case "K":
      return "gnu-long-link";
    default:
      return "other";
  }
}

/** Octal digits between spaces and NULs, or GNU's base-256 when the first bit is set; an empty field is 0. */
function numberAt(block: Buffer, start: number, end: number): number {
  if ((block[start] ?? 0) >= 0x80) return base256At(block, start, end);
  let at = start;
  while (at < end && (block[at] === SPACE || block[at] === NUL)) at += 1;
  let value = 0;
  for (; at < end; at += 1) {
    const byte = block[at] ?? 0;
    if (byte === SPACE || byte === NUL) break;
    if (byte < 0x30 || byte > 0x37) return NaN;
    value = value * 8 + (byte - 0x30);
  }
  return value;
}

/** NaN for negative numbers and those above 2^53. */
function base256At(block: Buffer, start: number, end: number): number {
  let value = (block[start] ?? 0) & 0x7f;
  if (value >= 0x40) return NaN;
  for (let i = start + 1; i < end; i += 1) value = value * 256 + (block[i] ?? 0);
  return Number.isSafeInteger(value) ? value : NaN;
}
