import type { Clock, Logger } from "../ports/system.js";
import type { LeaderAddress, ServerAddress } from "./leader-address.js";

export interface AddressClashOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leaseTtlMs: number;
  /** Of this server. */
  readonly holder: string;
  readonly own: () => ServerAddress;
  readonly leader: () => LeaderAddress | null;
}

/**
 * Finds out that the leading server has an address of this one: what others would send there may come here. While the lease
 * can still be that of a server that has ended, this one itself before its start included, nothing is said.
 */
export class AddressClash {
  readonly #options: AddressClashOptions;
  #heldSince: number | null = null;
  #address: string | null = null;

  constructor(options: AddressClashOptions) {
    this.#options = options;
  }

  /** The address that both have; null: none that is known. */
  get address(): string | null {
    return this.#address;
  }

  /** To be called each time that the lease could not be had because another one holds it. */
  noteHeld(): void {
    const { clock, logger, leaseTtlMs, leader } = this.#options;
    const now = clock.monotonicMs();
    this.#heldSince ??= now;
    if (now - this.#heldSince <= 2 * leaseTtlMs) return;
    const address = this.#shared();
    if (address === this.#address) return;
    this.#address = address;
    if (address === null) return;
    logger.warn("the server that leads has an address of this one", {
      address,
      leader: leader()?.holder ?? null,
      hint: "Give each server addresses of its own: server.listen and server.linkListen, or server.url and server.linkUrl.",
    });
  }

  /** To be called when this server leads. */
  noteLed(): void {
    this.#heldSince = null;
    this.#address = null;
  }

  #shared(): string | null {
    const { holder, own, leader } = this.#options;
    const other = leader();
    if (other === null || other.holder === null || other.holder === holder) return null;
    const { apiUrl, linkUrl } = own();
    if (other.apiUrl === apiUrl) return apiUrl;
    return other.linkUrl === linkUrl ? linkUrl : null;
  }
}
