/** Where containers have their first process. */
export const INIT_FOLDER = "/.dinp";
export const INIT_PATH = "/.dinp/init";

/** What the first process says of the command: see `init/init.c`. */
export type InitLine =
  | { readonly type: "started" }
  | { readonly type: "failed"; readonly errno: number }
  | {
      readonly type: "ended";
      readonly end: CommandEnd;
      /** Standard output ends with this line, too. Not so where the first process is an instance's, or an older one. */
      readonly isOnBoth: boolean;
    };

export interface CommandEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** The platform asked for it. */
  readonly asked: boolean;
}

/** Longer than any such line. */
const LINE_BYTES_MAX = 96;
/** More than any filler behind a line; the largest pipes have 1 MiB. */
const FILLER_BYTES_MAX = 4 * 1024 * 1024;
const NEWLINE = 10;
const LINE = /^(?:(started)|failed (\d+)|ended (code|signal) (\d+)( asked)?( both)?)$/;

/** The beginning of the lines of one first process. */
export function initMark(token: string): string {
  return `[dinp ${token}] `;
}

export function parseInitLine(token: string, text: string): InitLine | null {
  const mark = initMark(token);
  const found = text.startsWith(mark) ? LINE.exec(text.slice(mark.length)) : null;
  if (found === null) return null;
  const [, started, errno, how, number, asked, both] = found;
  if (started !== undefined) return { type: "started" };
  if (errno !== undefined) return { type: "failed", errno: Number(errno) };
  return {
    type: "ended",
    end: {
      code: how === "code" ? Number(number) : null,
      signal: how === "signal" ? signalName(Number(number)) : null,
      asked: asked !== undefined,
    },
    isOnBoth: both !== undefined,
  };
}

/**
 * Keeps the line with which the first process ends an output, and the filler (zeros) behind it, from being taken for the
 * command's output.
 */
export class InitTrailer {
  readonly #token: string;
  readonly #mark: Buffer;
  /** The line, or what may be its beginning. */
  #held = Buffer.alloc(0);
  #line: InitLine | null = null;
  #fillerBytes = 0;

  constructor(token: string) {
    this.#token = token;
    this.#mark = Buffer.from(initMark(token));
  }

  /** What of the bytes so far is certainly the command's. */
  push(bytes: Uint8Array): Uint8Array {
    const isFiller = this.#line !== null && this.#fillerBytes + bytes.length <= FILLER_BYTES_MAX;
    if (isFiller && hasOnlyZeros(bytes)) {
      this.#fillerBytes += bytes.length;
      return Buffer.alloc(0);
    }
    const all = Buffer.concat([this.#held, Buffer.alloc(this.#fillerBytes), bytes]);
    const from = this.#hold(all);
    return all.subarray(0, from);
  }

  /** At the end: what the line says, and what was held back and is the command's after all. */
  end(): { readonly line: InitLine | null; readonly rest: Uint8Array } {
    return { line: this.#line, rest: this.#line === null ? this.#held : Buffer.alloc(0) };
  }

  /** Holds what may be the end; gives where that begins. */
  #hold(bytes: Buffer): number {
    const at = bytes.lastIndexOf(this.#mark);
    const newline = at < 0 ? -1 : bytes.indexOf(NEWLINE, at);
    const filler = bytes.subarray(newline + 1);
    const isLast = newline >= 0 && filler.length <= FILLER_BYTES_MAX && hasOnlyZeros(filler);
    this.#line = isLast ? parseInitLine(this.#token, bytes.toString("utf8", at, newline)) : null;
    this.#fillerBytes = this.#line === null ? 0 : filler.length;
    const isUnfinished = at >= 0 && newline < 0 && bytes.length - at <= LINE_BYTES_MAX;
    const from = this.#line !== null || isUnfinished ? at : this.#markStart(bytes);
    this.#held = Buffer.from(bytes.subarray(from, bytes.length - this.#fillerBytes));
    return from;
  }

  /** Where the bytes end with a beginning of the mark. */
  #markStart(bytes: Buffer): number {
    for (let length = Math.min(this.#mark.length - 1, bytes.length); length > 0; length -= 1) {
      const start = bytes.length - length;
      if (bytes.subarray(start).equals(this.#mark.subarray(0, length))) return start;
    }
    return bytes.length;
  }
}

function hasOnlyZeros(bytes: Uint8Array): boolean {
  return Buffer.alloc(bytes.length).equals(bytes);
}

/** Linux's numbers, which are the same on all processors that matter here (signal(7)). */
const SIGNALS = (
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG " +
  "XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split(" ");

export function signalName(number: number): string {
  const name = SIGNALS[number - 1];
  return name === undefined ? `SIG${String(number)}` : `SIG${name}`;
}

/** Why a program could not be executed (errno(3)). */
export function explainErrno(program: string, errno: number): string {
  const name = JSON.stringify(program);
  if (errno === 2)
    return `The program ${name} is not in the image, or the interpreter that it names is not. It was looked for in PATH.`;
  if (errno === 8)
    return `The program ${name} is of a kind that cannot be executed here (another processor?).`;
  if (errno === 13) return `The program ${name} may not be executed: see its permissions.`;
  if (errno === 7) return `The program ${name} was given too many words or variables.`;
  if (errno === 11 || errno === 12)
    return `There was no memory or no process left to start the program ${name}.`;
  return `The program ${name} could not be executed (error ${String(errno)}).`;
}
