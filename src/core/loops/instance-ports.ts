import { DinpError } from "../model/errors.js";
import type { InstanceId } from "../model/records.js";
import type { LocalState, Random } from "../ports/system.js";

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface InstancePortsOptions {
  /** Outside the kernel's range of ephemeral ports. */
  readonly range: PortRange;
  readonly state: LocalState;
  /** Where the cursor begins on a new node: two platforms on one machine should not try the same ports. */
  readonly random: Random;
  /** Whether nothing listens on the port of this node. */
  readonly isFree: (port: number) => Promise<boolean>;
}

const CURSOR = "port-cursor";

/**
 * Gives out host ports. A cursor that survives restarts cycles through the range, so that a port comes back as late as
 * it can; a port that is held is never given out again before it is given back.
 */
export class InstancePorts {
  readonly #options: InstancePortsOptions;
  readonly #held = new Map<number, InstanceId>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: InstancePortsOptions) {
    this.#options = options;
  }

  /** How many ports there are in all. */
  get size(): number {
    const { first, last } = this.#options.range;
    return last - first + 1;
  }

  /** Marks a port that an instance of an earlier run still has. */
  hold(port: number, instanceId: InstanceId): void {
    this.#held.set(port, instanceId);
  }

  release(instanceId: InstanceId): void {
    for (const [port, holder] of this.#held) if (holder === instanceId) this.#held.delete(port);
  }

  /** The next port, held for the instance. `DINP_BUSY` when the whole range is taken. */
  take(instanceId: InstanceId): Promise<number> {
    const taken = this.#last.then(() => this.#take(instanceId));
    this.#last = taken.catch(() => undefined);
    return taken;
  }

  async #take(instanceId: InstanceId): Promise<number> {
    const { range, state, isFree } = this.#options;
    let port = await this.#cursor();
    for (let i = 0; i < this.size; i += 1) {
      const candidate = port;
      port = candidate === range.last ? range.first : candidate + 1;
      if (this.#held.has(candidate) || !(await isFree(candidate))) continue;
      this.#held.set(candidate, instanceId);
      await state.write(CURSOR, String(port));
      return candidate;
    }
    const text = `${String(range.first)}-${String(range.last)}`;
    throw new DinpError("DINP_BUSY", `Every port of the range ${text} is in use.`, {
      retryable: true,
      hint: "Give the agent a larger port range, or look what else listens there.",
    });
  }

  async #cursor(): Promise<number> {
    const { range, state, random } = this.#options;
    const saved = Number((await state.read(CURSOR)) ?? Number.NaN);
    if (Number.isInteger(saved) && saved >= range.first && saved <= range.last) return saved;
    return range.first + Math.floor(random.next() * (range.last - range.first + 1));
  }
}
