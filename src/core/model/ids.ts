/** The part of the `Random` port that ids need. */
export interface RandomBytes {
  bytes(length: number): Uint8Array;
}

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** `length` characters of 5 random bits each, from an alphabet without look-alikes. */
export function randomText(random: RandomBytes, length: number): string {
  let text = "";
  for (const byte of random.bytes(length)) text += ALPHABET.charAt(byte & 31);
  return text;
}

/** A new id such as `app-7k2m9q4x0c1d`: a prefix that says the kind, and 60 random bits. */
export function newId(random: RandomBytes, prefix: string): string {
  return `${prefix}-${randomText(random, 12)}`;
}

/** An id that sorts by time (milliseconds in 9 base-32 digits) and is unique by 60 random bits. */
export function newTimeId(random: RandomBytes, now: number, prefix: string): string {
  let digits = "";
  let rest = Math.max(0, Math.floor(now));
  for (let i = 0; i < 9; i += 1) {
    digits = ALPHABET.charAt(rest % 32) + digits;
    rest = Math.floor(rest / 32);
  }
  return `${prefix}-${digits}${randomText(random, 12)}`;
}

/** The times in the ids of this process's events: no two the same, so that the ids sort in the order of their making. */
export class EventTimes {
  #last = 0;

  /** `now`, or one millisecond after the last one. */
  next(now: number): number {
    this.#last = Math.max(now, this.#last + 1);
    return this.#last;
  }
}
