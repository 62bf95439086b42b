/** Routes are spread over this many hashes, so that each can be read at once however large the table is. */
export const BUCKETS = 256;

/** The keys of one table. They share a hash tag, hence one slot of a Redis Cluster, in which a script can see them all. */
export class TableKeys {
  readonly #prefix: string;
  /** Hash: which version the table is at. See `docs/redis.md` for the fields of each. */
  readonly meta: string;
  /** Hash: revision → what led to it. */
  readonly changes: string;
  /** Hash: router → what it acknowledged. */
  readonly acknowledgements: string;
  /** Channel: told of each new version. */
  readonly changed: string;
  /** Channel: told of each acknowledgement that changed something. */
  readonly acknowledged: string;

  constructor(cluster: string) {
    this.#prefix = `dinp:{${cluster}}:`;
    this.meta = `${this.#prefix}meta`;
    this.changes = `${this.#prefix}changes`;
    this.acknowledgements = `${this.#prefix}acknowledgements`;
    this.changed = `${this.#prefix}changed`;
    this.acknowledged = `${this.#prefix}acknowledged`;
  }

  /** All of them, for people. */
  get pattern(): string {
    return `${this.#prefix}*`;
  }

  /** Hash: route key → route, of the generation: two take turns, so that there is never a third. */
  bucket(generation: number, index: number): string {
    return `${this.#prefix}routes:${String(generation % 2)}:${String(index)}`;
  }

  buckets(generation: number, from = 0, to = BUCKETS): readonly string[] {
    return Array.from({ length: to - from }, (_, offset) => this.bucket(generation, from + offset));
  }
}

/** In which bucket a route is: FNV-1a over the code units of its key. Part of the stored format. */
export function bucketOf(routeKey: string): number {
  let hash = 0x81_1c_9d_c5;
  for (let index = 0; index < routeKey.length; index += 1) {
    hash = Math.imul(hash ^ routeKey.charCodeAt(index), 0x01_00_01_93);
  }
  return (hash >>> 0) % BUCKETS;
}
