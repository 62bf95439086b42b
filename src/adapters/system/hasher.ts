import { createHash } from "node:crypto";
import type { Hasher } from "@dinp/core";

/** Hashes of `node:crypto`. A running hash that has given its digest throws `TypeError` when used again. */
export function createNodeHasher(): Hasher {
  return {
    sha256: () => {
      const hash = createHash("sha256");
      let ended = false;
      const assertOpen = (): void => {
        if (ended) throw new TypeError("The hash has already given its digest; begin a new one.");
      };
      return {
        update: (bytes) => {
          assertOpen();
          hash.update(bytes);
        },
        digestHex: () => {
          assertOpen();
          ended = true;
          return hash.digest("hex");
        },
      };
    },
  };
}
