import { DinpError } from "../model/errors.js";
import type { ArchiveFormat } from "../ports/archive.js";

/** How much of an upload {@link detectFormat} looks at: a tar's first header. */
export const formatHeadBytes = 512;

const ZIP_STARTS = [
  [0x50, 0x4b, 0x03, 0x04],
  [0x50, 0x4b, 0x05, 0x06],
];
const ELF_START = [0x7f, 0x45, 0x4c, 0x46];
const SCRIPT_START = [0x23, 0x21];
const GZIP_START = [0x1f, 0x8b];

/** What is sent by mistake, so that it can be called by its name. */
const OTHERS: readonly (readonly [readonly number[], string])[] = [
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], "an xz file"],
  [[0x42, 0x5a, 0x68], "a bzip2 file"],
  [[0x28, 0xb5, 0x2f, 0xfd], "a zstd file"],
  [[0x37, 0x7a, 0xbc, 0xaf], "a 7z archive"],
  [[0x52, 0x61, 0x72, 0x21], "a RAR archive"],
  [[0x4d, 0x5a], "a program for Windows"],
  [[0xcf, 0xfa, 0xed, 0xfe], "a program for macOS"],
  [[0xca, 0xfe, 0xba, 0xbe], "a program for macOS, or a Java class"],
];

/**
 * What an upload is, by its first {@link formatHeadBytes} bytes: `file` for an ELF program and for a script that begins
 * with `#!`; null for anything else that is not a tar (gzipped or not) or a zip.
 */
export function detectFormat(head: Uint8Array): ArchiveFormat | null {
  if (isTar(head)) return "tar";
  if (startsWith(head, GZIP_START)) return "tar.gz";
  if (ZIP_STARTS.some((start) => startsWith(head, start))) return "zip";
  return startsWith(head, ELF_START) || startsWith(head, SCRIPT_START) ? "file" : null;
}

/** The error for an upload that is nothing of what is taken. */
export function unknownFormat(head: Uint8Array): DinpError {
  const known = OTHERS.find(([start]) => startsWith(head, start))?.[1];
  const shown = [...head.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const what =
    head.length === 0 ? "is empty" : known === undefined ? `begins with the bytes ${shown}` : `is ${known}`;
  return new DinpError(
    "DINP_ARCHIVE_REFUSED",
    `The upload ${what}; taken are .tar, .tar.gz, .zip, .war and .jar, and single programs for Linux (ELF, or with #!).`,
    { hint: "Push the folder of the built app, or pack it with `tar -czf app.tar.gz .`." },
  );
}

/** A header's checksum is the sum of its bytes with the checksum itself as spaces (POSIX, pax, "ustar"); zeros end a tar. */
function isTar(head: Uint8Array): boolean {
  if (head.length < formatHeadBytes) return false;
  const block = head.subarray(0, formatHeadBytes);
  if (block.every((byte) => byte === 0)) return true;
  const field = new TextDecoder("latin1").decode(block.subarray(148, 156));
  const checksum = /^ *([0-7]{1,7})[ \0]*$/.exec(field)?.[1];
  if (checksum === undefined) return false;
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  return sum === Number.parseInt(checksum, 8);
}

function startsWith(head: Uint8Array, start: readonly number[]): boolean {
  return start.length <= head.length && start.every((byte, index) => head[index] === byte);
}
