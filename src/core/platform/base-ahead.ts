import type { BaseImage } from "../build/image-plan.js";

/** A base image that is looked up before it is needed. What fails is tried again, and told, when it is. */
export class BaseAhead {
  #mounting: Promise<BaseImage | null> | null = null;

  /** Once; later calls change nothing. */
  begin(mount: () => Promise<BaseImage | null>): void {
    this.#mounting ??= mount().catch(() => null);
  }

  async mounted(): Promise<BaseImage | null> {
    return await this.#mounting;
  }
}
