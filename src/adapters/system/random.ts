import { randomBytes } from "node:crypto";
import type { Random } from "@dinp/core";

const TWO_TO_53 = 2 ** 53;

/** Randomness of the operating system, fit for secrets (`node:crypto`). */
export function createSystemRandom(): Random {
  return {
    next: () => Number(randomBytes(8).readBigUInt64BE() >> 11n) / TWO_TO_53,
    bytes: (length) => {
      if (!Number.isInteger(length) || length < 0)
        throw new TypeError(`bytes needs a whole number of bytes, not ${String(length)}.`);
      return new Uint8Array(randomBytes(length));
    },
  };
}
