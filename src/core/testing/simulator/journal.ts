import type { Scheduler } from "./scheduler.js";

const LINES_MAX = 60;

/** A promise that the simulated world keeps, which was broken. */
export interface Violation {
  readonly invariant: InvariantName;
  /** Simulated milliseconds since the beginning. */
  readonly atMs: number;
  readonly message: string;
}

/**
 * - `acknowledged-writes-are-kept`: what a user was told is done is in the store, once, and only a later wish of a user
 *   changes it; no user is answered with anything but an error of the platform.
 * - `an-instance-id-runs-once`: an instance id is started at most once, and only on the node that it was committed to.
 * - `no-stop-from-an-unfresh-read`: what has served is stopped by a committed word only, and whoever has not followed the
 *   store lately commits no such word.
 * - `no-request-to-another-app`: what answers a request is an instance of the app that the request was for.
 * - `a-port-waits-for-all-routers`: a port is used again only when no router looks there for another instance.
 * - `a-drain-precedes-the-stop`: what has served is stopped after every router let go of it, or when its time is over.
 * - `an-app-keeps-its-minimum`: no ready instance is retired below the wanted number, unless a user asked for it.
 * - `a-fixpoint-follows-the-faults`: when all faults have ended, exactly what was asked for runs and is routed, every
 *   rollout has ended, and nothing moves any more.
 */
export const invariantNames = Object.freeze([
  "acknowledged-writes-are-kept",
  "an-instance-id-runs-once",
  "no-stop-from-an-unfresh-read",
  "no-request-to-another-app",
  "a-port-waits-for-all-routers",
  "a-drain-precedes-the-stop",
  "an-app-keeps-its-minimum",
  "a-fixpoint-follows-the-faults",
] as const);

export type InvariantName = (typeof invariantNames)[number];

/** What happened in one simulation: the last lines, a fingerprint of all, and how often each thing was seen. */
export class Journal {
  readonly #scheduler: Scheduler;
  readonly #echo: ((line: string) => void) | null;
  readonly #lines: string[] = [];
  readonly #counts = new Map<string, number>();
  #fingerprint = 0x811c9dc5;
  #violation: Violation | null = null;

  constructor(scheduler: Scheduler, echo: ((line: string) => void) | null) {
    this.#scheduler = scheduler;
    this.#echo = echo;
  }

  /** The first one. */
  get violation(): Violation | null {
    return this.#violation;
  }

  get lastLines(): readonly string[] {
    return this.#lines.slice(-LINES_MAX);
  }

  /** Equal for two simulations in which the same things happened at the same times. */
  get fingerprint(): string {
    return (this.#fingerprint >>> 0).toString(16).padStart(8, "0");
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  note(line: string): void {
    const whole = `${(this.#scheduler.now / 1000).toFixed(3).padStart(9)} ${line}`;
    let hash = this.#fingerprint;
    for (let i = 0; i < whole.length; i += 1) hash = Math.imul(hash ^ whole.charCodeAt(i), 0x01000193);
    this.#fingerprint = hash;
    this.#lines.push(whole);
    if (this.#lines.length > 10 * LINES_MAX) this.#lines.splice(0, 9 * LINES_MAX);
    this.#echo?.(whole);
  }

  count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  violate(invariant: InvariantName, message: string): void {
    this.note(`VIOLATION of ${invariant}: ${message}`);
    this.#violation ??= { invariant, atMs: this.#scheduler.now, message };
  }
}
