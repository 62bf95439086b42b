import type { Buffer } from "node:buffer";

/** What PAX records change of an entry; null leaves it as it is. */
export interface PaxRecords {
  readonly path: string | null;
  readonly linkPath: string | null;
  /** NaN for what is no number, or none that can be counted with. */
  readonly size: number | null;
  /** GNU's PAX form of sparse files: a plain entry whose content is not the file's. */
  readonly isSparse: boolean;
}

export const noPaxRecords: PaxRecords = { path: null, linkPath: null, size: null, isSparse: false };

const NUL = 0;
const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;
const SPARSE = "GNU.sparse.";
const KEY_BYTES_MAX = 64;

/**
 * The records of a PAX extended header (POSIX.1-2017, pax, "pax Extended Header"), each `LENGTH key=value\n`, over those
 * that hold already; the last of a key counts, and an empty value takes the key's record back. Other keys are left
 * unread, and NULs behind the last record. Null when it is damaged.
 */
export function decodePaxRecords(bytes: Buffer, before: PaxRecords): PaxRecords | null {
  let { path, linkPath, size, isSparse } = before;
  for (let start = 0; start < bytes.length && bytes[start] !== NUL;) {
    const record = recordAt(bytes, start);
    if (record === null) return null;
    const { key, valueStart, end } = record;
    const value = (): string | null => {
      const text = bytes.toString("utf8", valueStart, end - 1);
      return text === "" ? null : text;
    };
    if (key === "path") path = value();
    else if (key === "linkpath") linkPath = value();
    else if (key === "size") size = sizeOf(value());
    else if (key.startsWith(SPARSE)) isSparse = true;
    start = end;
  }
  return { path, linkPath, size, isSparse };
}

interface PaxRecord {
  readonly key: string;
  readonly valueStart: number;
  /** Behind its newline. */
  readonly end: number;
}

/** Null when it has no length, no key or another end than its length says. */
function recordAt(bytes: Buffer, start: number): PaxRecord | null {
  let length = 0;
  let at = start;
  for (; at < bytes.length && bytes[at] !== SPACE; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x30 || byte > 0x39) return null;
    length = length * 10 + (byte - 0x30);
    if (length > bytes.length) return null;
  }
  const end = start + length;
  if (at === start || end > bytes.length || end <= at + 1 || bytes[end - 1] !== NEWLINE) return null;
  const equals = bytes.indexOf(EQUALS, at + 1);
  if (equals === -1 || equals >= end) return null;
  const key = bytes.toString("utf8", at + 1, Math.min(equals, at + 1 + KEY_BYTES_MAX));
  return { key, valueStart: equals + 1, end };
}

/** A size in a PAX record is a decimal number. */
function sizeOf(value: string | null): number | null {
  if (value === null) return null;
  const size = /^\d+$/.test(value) ? Number(value) : NaN;
  return Number.isSafeInteger(size) ? size : NaN;
}
