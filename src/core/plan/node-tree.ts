/** What a node could still take, and how free it is in proportion; -Infinity throughout when it takes nothing. */
export interface NodeRoom {
  readonly ratio: number;
  readonly memoryMb: number;
  readonly cpuMillis: number;
}

export const NO_ROOM: NodeRoom = Object.freeze({
  ratio: -Infinity,
  memoryMb: -Infinity,
  cpuMillis: -Infinity,
});

/**
 * The freest of many nodes that has room, without a look at each: a binary tree over the nodes' places in a fixed
 * order, whose every knot knows the greatest ratio, memory and processor share below it. Setting one node takes a step
 * per level; a search leaves out what cannot hold or cannot win, so it takes about as many while most nodes will do.
 */
export class NodeTree {
  readonly #leaves: number;
  readonly #ratio: Float64Array;
  readonly #memory: Float64Array;
  readonly #cpu: Float64Array;

  constructor(size: number) {
    let leaves = 1;
    while (leaves < size) leaves *= 2;
    this.#leaves = leaves;
    this.#ratio = new Float64Array(2 * leaves).fill(-Infinity);
    this.#memory = new Float64Array(2 * leaves).fill(-Infinity);
    this.#cpu = new Float64Array(2 * leaves).fill(-Infinity);
  }

  set(place: number, room: NodeRoom): void {
    let knot = this.#leaves + place;
    this.#ratio[knot] = room.ratio;
    this.#memory[knot] = room.memoryMb;
    this.#cpu[knot] = room.cpuMillis;
    for (knot >>= 1; knot >= 1; knot >>= 1) {
      this.#ratio[knot] = greaterBelow(this.#ratio, knot);
      this.#memory[knot] = greaterBelow(this.#memory, knot);
      this.#cpu[knot] = greaterBelow(this.#cpu, knot);
    }
  }

  ratioOf(place: number): number {
    return at(this.#ratio, this.#leaves + place);
  }

  hasRoom(place: number, memoryMb: number, cpuMillis: number): boolean {
    return this.#holds(this.#leaves + place, memoryMb, cpuMillis);
  }

  /**
   * The place of the freest node that has the room and that `accepts` takes; the first one of equally free ones.
   * -1 when there is none.
   */
  find(memoryMb: number, cpuMillis: number, accepts: (place: number) => boolean): number {
    let best = -1;
    let bestRatio = -Infinity;
    // From where no better one was found yet; a knot's two halves lie so that the freer one comes up first.
    const open = [1];
    for (let knot = open.pop(); knot !== undefined; knot = open.pop()) {
      if (!this.#holds(knot, memoryMb, cpuMillis)) continue;
      const ratio = at(this.#ratio, knot);
      if (ratio < bestRatio || (ratio === bestRatio && this.#firstOf(knot) > best)) continue;
      if (knot >= this.#leaves) {
        const place = knot - this.#leaves;
        if (!accepts(place)) continue;
        best = place;
        bestRatio = ratio;
        continue;
      }
      const left = 2 * knot;
      if (at(this.#ratio, left) >= at(this.#ratio, left + 1)) open.push(left + 1, left);
      else open.push(left, left + 1);
    }
    return best;
  }

  #holds(knot: number, memoryMb: number, cpuMillis: number): boolean {
    return at(this.#memory, knot) >= memoryMb && at(this.#cpu, knot) >= cpuMillis;
  }

  /** The first place below a knot. */
  #firstOf(knot: number): number {
    let first = knot;
    while (first < this.#leaves) first *= 2;
    return first - this.#leaves;
  }
}

function greaterBelow(values: Float64Array, knot: number): number {
  return Math.max(at(values, 2 * knot), at(values, 2 * knot + 1));
}

function at(values: Float64Array, index: number): number {
  return values[index] ?? -Infinity;
}
