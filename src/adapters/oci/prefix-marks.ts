import { createHash, type Hash } from "node:crypto";

/** How far a reading of a source came, and the digest of all bytes until there. */
interface Mark {
  readonly size: number;
  readonly digest: string;
}

/** A SHA-256 that tells when its bytes are not those that earlier ones had seen at the same place. */
export class MarkedHash {
  readonly #marks: readonly Mark[];
  readonly #hash: Hash = createHash("sha256");
  #size = 0;
  #next = 0;

  constructor(marks: PrefixMarks) {
    this.#marks = marks.inOrder();
  }

  /** Bytes that it has seen. */
  get size(): number {
    return this.#size;
  }

  /** False once the bytes differ from what an earlier one saw. */
  update(bytes: Uint8Array): boolean {
    let rest = bytes;
    for (let mark = this.#marks[this.#next]; mark !== undefined; mark = this.#marks[this.#next]) {
      if (mark.size > this.#size + rest.length) break;
      const before = rest.subarray(0, mark.size - this.#size);
      this.#add(before);
      rest = rest.subarray(before.length);
      if (this.digest() !== mark.digest) return false;
      this.#next += 1;
    }
    this.#add(rest);
    return true;
  }

  /** Whether it has seen as much as every earlier one, and so the same. */
  get isComplete(): boolean {
    return this.#next === this.#marks.length;
  }

  /** `sha256:…` of what it has seen so far. */
  digest(): string {
    return `sha256:${this.#hash.copy().digest("hex")}`;
  }

  #add(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#size += bytes.length;
  }
}

/** What earlier readings of one source have seen: one mark each, so as many as there may be attempts. */
export class PrefixMarks {
  readonly #marks: Mark[] = [];

  add(hash: MarkedHash): void {
    if (hash.size > 0) this.#marks.push({ size: hash.size, digest: hash.digest() });
  }

  inOrder(): readonly Mark[] {
    return this.#marks.toSorted((a, b) => a.size - b.size);
  }
}
