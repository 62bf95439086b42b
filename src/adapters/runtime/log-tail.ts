const TAIL_LINES_DEFAULT = 100;
/** A log is read so far back at most. */
export const TAIL_LINES_MAX = 10_000;
/** What an instance's end tells of its log: so many last lines, each cut to so many characters. */
export const EXIT_TAIL_LINES = 20;
export const EXIT_TAIL_CHARACTERS = 500;

/** How many lines back a log is read that is asked for `tail`; `TypeError` when that is no number of lines. */
export function tailLines(tail = TAIL_LINES_DEFAULT): number {
  if (Number.isInteger(tail) && tail >= 0) return Math.min(tail, TAIL_LINES_MAX);
  throw new TypeError(`tail must be a whole number, and it is ${String(tail)}.`);
}
