/**
 * Keeps images from being deleted from a repository while something new is made in it: what is stored there is needed by
 * no record until that is done. It holds for this process.
 */
export class RepositoryUse {
  readonly #users = new Map<string, number>();
  readonly #closed = new Map<string, Promise<void>>();

  /** Runs work that makes images in the repository, or records of those in it. Waits while it is closed. */
  async during<T>(repository: string, work: () => Promise<T>): Promise<T> {
    for (let closed = this.#closed.get(repository); closed !== undefined;) {
      await closed;
      closed = this.#closed.get(repository);
    }
    this.#users.set(repository, (this.#users.get(repository) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = (this.#users.get(repository) ?? 1) - 1;
      if (left === 0) this.#users.delete(repository);
      else this.#users.set(repository, left);
    }
  }

  /** Runs work with nobody else in the repository; false, without running it, when somebody is. */
  async alone(repository: string, work: () => Promise<void>): Promise<boolean> {
    if (this.#users.has(repository) || this.#closed.has(repository)) return false;
    let open = (): void => undefined;
    const closed = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#closed.set(repository, closed);
    try {
      await work();
      return true;
    } finally {
      this.#closed.delete(repository);
      open();
    }
  }
}
