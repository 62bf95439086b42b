/** The signals of this process, from now until `dispose`. */
export class Interrupt {
  /** Aborts at the first SIGTERM or SIGINT; further ones change nothing. */
  readonly signal: AbortSignal;
  readonly #hangUps = new Set<() => void>();
  readonly #listeners: readonly (readonly [NodeJS.Signals, () => void])[];

  constructor() {
    const controller = new AbortController();
    this.signal = controller.signal;
    const stop = (): void => {
      controller.abort();
    };
    const hangUp = (): void => {
      for (const listener of this.#hangUps) listener();
    };
    this.#listeners = [
      ["SIGTERM", stop],
      ["SIGINT", stop],
      ["SIGHUP", hangUp],
    ];
    for (const [name, listener] of this.#listeners) process.on(name, listener);
  }

  /** Is called at each SIGHUP. */
  onHangUp(listener: () => void): void {
    this.#hangUps.add(listener);
  }

  /** Resolves at the first SIGTERM or SIGINT. */
  async stopped(): Promise<void> {
    if (this.signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.signal.addEventListener(
        "abort",
        () => {
          resolve();
        },
        { once: true },
      );
    });
  }

  dispose(): void {
    for (const [name, listener] of this.#listeners) process.off(name, listener);
    this.#hangUps.clear();
  }
}
