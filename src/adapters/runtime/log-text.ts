/** The longest line that is handed on; what is longer comes in pieces of this size. */
export const LINE_BYTES_MAX = 16 * 1024;

const LINE_FEED = 0x0a;
// CSI and OSC sequences and two-byte escapes (ECMA-48), written without control characters in the source.
const ESCAPES = new RegExp(
  [
    "\\u001b\\[[0-?]*[ -/]*[@-~]",
    "\\u001b[\\]PX^_][^\\u0007\\u001b]*(?:\\u0007|\\u001b\\\\)?",
    "\\u001b[ -/]*[0-~]",
    "\\u009b[0-?]*[ -/]*[@-~]",
  ].join("|"),
  "gu",
);
const HARMFUL = /(?!\t)[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** Bytes of a log line as text that is safe on a terminal: escape sequences go, other control characters become U+FFFD. */
export function harmlessText(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  return text.replace(/\r+$/u, "").replace(ESCAPES, "").replace(HARMFUL, "\uFFFD");
}

/** Cuts bytes into lines of bounded length. */
export class LineSplitter {
  #rest: Uint8Array = new Uint8Array(0);

  /** The lines that are complete with these bytes. */
  push(bytes: Uint8Array): readonly string[] {
    const lines: string[] = [];
    let all: Uint8Array = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const end = all.indexOf(LINE_FEED);
      if (end >= 0 && end <= LINE_BYTES_MAX) {
        lines.push(harmlessText(all.subarray(0, end)));
        all = all.subarray(end + 1);
      } else if (all.length > LINE_BYTES_MAX) {
        const cut = characterStart(all, LINE_BYTES_MAX);
        lines.push(harmlessText(all.subarray(0, cut)));
        all = all.subarray(cut);
      } else break;
    }
    this.#rest = Uint8Array.from(all);
    return lines;
  }

  /** What is left without a line end, as a line. */
  flush(): readonly string[] {
    const rest = this.#rest;
    this.#rest = new Uint8Array(0);
    return rest.length === 0 ? [] : [harmlessText(rest)];
  }
}

/** The greatest index up to `at` where a UTF-8 character begins (RFC 3629), or `at` when none is near. */
function characterStart(bytes: Uint8Array, at: number): number {
  for (let index = at; index > at - 4; index -= 1) if (((bytes[index] ?? 0) & 0xc0) !== 0x80) return index;
  return at;
}
