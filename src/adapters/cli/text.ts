import { stripVTControlCharacters } from "node:util";

// Control characters, line separators, and the direction marks that can make a line read as something else.
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** One line of somebody else's text, safe to show: no escape sequences, no control characters; tabs become spaces. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replaceAll("\t", "    ").replace(UNPRINTABLE, "");
}

// Code points that terminals draw two columns wide: East Asian Wide and Fullwidth (UAX #11), and emoji.
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0xa4cf],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1faff],
  [0x20000, 0x3fffd],
];

function columnsOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (/^\p{Mark}$/u.test(character) || code === 0x200d) return 0;
  return WIDE.some(([from, to]) => code >= from && code <= to) ? 2 : 1;
}

/** How many columns of a terminal the text (without escape sequences) takes. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += columnsOf(character);
  return width;
}

/** The longest beginning of the text that takes at most `width` columns. */
function beginning(text: string, width: number): string {
  let length = 0;
  let used = 0;
  for (const character of text) {
    used += columnsOf(character);
    if (used > width) break;
    length += character.length;
  }
  return text.slice(0, length);
}

/** The text, or its beginning and `…` so that it takes at most `width` columns. */
export function truncate(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  return width < 1 ? "" : `${beginning(text, width - 1)}…`;
}

/** The text in lines of at most `width` columns, broken at spaces where there are any. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (displayWidth(longer) <= width) {
      line = longer;
      continue;
    }
    if (line !== "") lines.push(line);
    line = word;
    while (displayWidth(line) > width) {
      const head = beginning(line, width);
      if (head === "") break;
      lines.push(head);
      line = line.slice(head.length);
    }
  }
  return line === "" && lines.length > 0 ? lines : [...lines, line];
}

/** `text` filled up with spaces to `width` columns. */
export function pad(text: string, width: number, align: "left" | "right" = "left"): string {
  const space = " ".repeat(Math.max(0, width - displayWidth(text)));
  return align === "left" ? text + space : space + text;
}

/** `1 file`, `2 files`. */
export function count(number: number, noun: string): string {
  return `${String(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** Bytes for people, in decimal units: `512 B`, `34.1 kB`, `2.0 GB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${String(bytes)} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit] ?? ""}`;
}

/** Memory as the API counts it: `256 MB`, `1.5 GB`. */
export function formatMemory(memoryMb: number): string {
  if (memoryMb < 1024) return `${String(memoryMb)} MB`;
  return `${String(Math.round((memoryMb / 1024) * 10) / 10)} GB`;
}

/** Processor share: `0.1 cpu`, `2 cpu`. */
export function formatCpu(cpuMillis: number): string {
  return `${String(cpuMillis / 1000)} cpu`;
}

/** A length of time for people: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`. */
export function formatDuration(ms: number): string {
  if (ms < 10_000) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${String(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${String(minutes)} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${String(hours)} h` : `${String(Math.floor(hours / 24))} d`;
}

/** How long ago `at` was: `just now`, `12 s ago`. */
export function formatAgo(at: number, now: number): string {
  const ms = now - at;
  return ms < 1_000
    ? "just now"
    : `${formatDuration(ms < 10_000 ? Math.floor(ms / 1000) * 1000 : ms).replace(".0", "")} ago`;
}

/** The part of an id that tells it from its siblings: `inst-7k2m9q4x0c1d` → `7k2m9q4x`. */
export function shortId(id: string): string {
  return id.slice(id.lastIndexOf("-") + 1).slice(0, 8);
}

/** `sha256:` and the first 12 digits. */
export function shortDigest(digest: string): string {
  return digest.replace(/^(sha256:[0-9a-f]{12})[0-9a-f]+$/, "$1");
}

/** An argument vector as one would type it; of a shell that runs one line, that line without what the platform put before it. */
export function formatCommand(command: readonly string[]): string {
  const [shell, flag, line] = command;
  if (shell === "/bin/sh" && flag === "-c" && line !== undefined && command.length === 3) {
    return line.replace(/^(?:PATH="[^"]*"; export PATH; )?(?:exec )?/, "");
  }
  return command
    .map((word) => (/^[\w@%+=:,./$-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
}

/**
 * JSON for output. C1 and DEL are escaped (`JSON.stringify` leaves them), so that a terminal cannot be addressed through a value.
 */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    /[\u007f-\u009f\p{Bidi_Control}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
