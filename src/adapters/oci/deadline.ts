type LateCode = "CONNECT_TIMEOUT" | "RESPONSE_TIMEOUT" | "BODY_TIMEOUT";

/** A wait for the other side that took too long. */
export class LateError extends Error {
  readonly code: LateCode;

  constructor(code: LateCode) {
    super("The other side took too long.");
    this.code = code;
  }
}

/** The bound of one wait after another. */
export class Deadline {
  readonly #onLate: (error: LateError) => void;
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  constructor(onLate: (error: LateError) => void) {
    this.#onLate = onLate;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Bounds a wait that begins now, in place of the one before. */
  start(ms: number, code: LateCode): void {
    this.stop();
    if (this.#hasEnded) return;
    this.#timer = setTimeout(() => {
      this.#onLate(new LateError(code));
    }, ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** As {@link Deadline.stop}, for good. */
  end(): void {
    this.#hasEnded = true;
    this.stop();
  }
}
