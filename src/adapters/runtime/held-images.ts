import type { ImageRef } from "@dinp/core";

/** Images that something under way needs and no instance has yet: a prune must not take them away. */
export class HeldImages {
  readonly #holds = new Set<{ readonly image: ImageRef }>();

  /** Holds the image until what this gives is called. */
  hold(image: ImageRef): () => void {
    const hold = { image };
    this.#holds.add(hold);
    return () => {
      this.#holds.delete(hold);
    };
  }

  all(): readonly ImageRef[] {
    return [...this.#holds].map(({ image }) => image);
  }
}
