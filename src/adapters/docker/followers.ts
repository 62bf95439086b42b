/** Who follows the log of which container, so that they can be told when it is removed. */
export class Followers {
  readonly #followers = new Map<string, Set<AbortController>>();

  /** A signal that aborts when the container is removed. */
  join(containerId: string): { readonly removed: AbortSignal; readonly leave: () => void } {
    const follower = new AbortController();
    const all = this.#followers.get(containerId) ?? new Set();
    all.add(follower);
    this.#followers.set(containerId, all);
    const leave = (): void => {
      all.delete(follower);
      if (all.size === 0 && this.#followers.get(containerId) === all) this.#followers.delete(containerId);
    };
    return { removed: follower.signal, leave };
  }

  tellRemoved(containerId: string): void {
    for (const follower of this.#followers.get(containerId) ?? []) follower.abort();
  }

  /** Tells the followers of all containers but these. */
  tellAllBut(containerIds: ReadonlySet<string>): void {
    for (const id of this.#followers.keys()) if (!containerIds.has(id)) this.tellRemoved(id);
  }
}
