import { isDinpError, messageOf } from "../model/errors.js";
import type { ImageRef } from "../model/records.js";
import type { Stored, Write } from "../ports/state-store.js";
import { findApp, withSignal } from "./app-records.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import { withinTime } from "./within-time.js";

/** Looked at, and deleted, in one go: the rest has time. */
const WAITING_MAX = 10_000;
const DELETED_MAX = 100;
/** For one deletion, as long as builds of that app wait for it. */
const DELETE_MS_MAX = 15_000;

/** Of a registry that does not answer in time, or a sweep that is to end. */
const ended: ReadonlySet<string> = new Set(["DINP_ABORTED", "DINP_TIMEOUT"]);

/** Where an app's images are. */
export function appRepository(app: string): string {
  return `apps/${app}`;
}

/** To be committed with the deletion of what named these images: they are deleted later, unless something else needs them. */
export function discardWrites(images: readonly (ImageRef | null)[]): Write[] {
  const ids = new Map(images.flatMap((image) => (image === null ? [] : [[idOf(image), image]])));
  return [...ids].map(([id, image]) => ({ op: "put", kind: "imageDiscard", value: { id, image } }));
}

function idOf({ repository, digest }: ImageRef): string {
  return `${repository}@${digest}`;
}

/**
 * Deletes from the registry what no release or build needs any more and no tag points to; resolves to how many images
 * went. What cannot be deleted now, or lies where something is being made, is left for the next time.
 */
export async function discardImages(context: PlatformContext, options: ReadOptions): Promise<number> {
  const waiting: Stored<"imageDiscard">[] = [];
  for await (const discard of context.store.list("imageDiscard", withSignal(options))) {
    waiting.push(discard);
    if (waiting.length === WAITING_MAX) break;
  }
  const sweep = new Sweep(context, options);
  for (const discard of waiting) {
    if (sweep.gone === DELETED_MAX || sweep.isHopeless) break;
    await context.uses.alone(discard.value.image.repository, () => sweep.settle(discard));
  }
  return sweep.gone;
}

/** One go through what waits. */
class Sweep {
  readonly #context: PlatformContext;
  readonly #options: ReadOptions;
  readonly #tags = new Map<string, ReadonlySet<string>>();
  #gone = 0;
  #isHopeless = false;

  constructor(context: PlatformContext, options: ReadOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** Images that were deleted. */
  get gone(): number {
    return this.#gone;
  }

  /** Whether the registry is away: the rest has to wait. */
  get isHopeless(): boolean {
    return this.#isHopeless;
  }

  async settle({ key, value: { image }, revision }: Stored<"imageDiscard">): Promise<void> {
    const { store, logger } = this.#context;
    const options = withSignal(this.#options);
    try {
      const need = await needOf(this.#context, image, this.#options);
      if (need === "perhaps") return;
      if (need === "no" && (await this.#delete(image))) this.#gone += 1;
      await store.commit([{ op: "delete", kind: "imageDiscard", key, ifRevision: revision }], options);
    } catch (error) {
      if (this.#options.signal?.aborted === true) throw error;
      // Another record of it went meanwhile.
      if (isDinpError(error, "DINP_CONFLICT")) return;
      logger.warn("an image that nothing needs could not be deleted", {
        image: key,
        error: messageOf(error),
      });
      this.#isHopeless = !isDinpError(error) || error.retryable || ended.has(error.code);
      // A registry that lets nobody delete says so each time.
      if (!this.#isHopeless) await store.commit([{ op: "delete", kind: "imageDiscard", key }], options);
    }
  }

  /** Whether it was deleted, and not kept for a tag. */
  async #delete(image: ImageRef): Promise<boolean> {
    const { clock, images } = this.#context;
    const limit = { clock, ms: DELETE_MS_MAX, what: "The deletion", signal: this.#options.signal };
    return await withinTime(limit, async (signal) => {
      const bounded = { signal };
      const tagged = this.#tags.get(image.repository) ?? (await images.tagged(image.repository, bounded));
      this.#tags.set(image.repository, tagged);
      if (tagged.has(image.digest)) return false;
      await images.discard(image, bounded);
      return true;
    });
  }
}

/** Whether a release or build needs the image; `perhaps` while one of that app is being made elsewhere. */
async function needOf(
  { store, clock, buildTimeoutMs }: PlatformContext,
  { repository, digest }: ImageRef,
  options: ReadOptions,
): Promise<"yes" | "no" | "perhaps"> {
  const name = repository.slice(appRepository("").length);
  if (repository !== appRepository(name)) return "yes";
  const isIt = (other: ImageRef | null): boolean =>
    other?.repository === repository && other.digest === digest;
  let need: "no" | "perhaps" = "no";
  const builds = { index: { name: "appName", value: name }, ...withSignal(options) };
  for await (const { value } of store.list("build", builds)) {
    if (isIt(value.image)) return "yes";
    // One that is older died with its process.
    const mayRun = value.state === "running" && clock.now() - value.createdAt < 2 * buildTimeoutMs;
    if (mayRun) need = "perhaps";
  }
  const app = await findApp(store, name, options);
  if (app === null) return need;
  const releases = { index: { name: "app", value: app.key }, ...withSignal(options) };
  for await (const { value } of store.list("release", releases)) if (isIt(value.image)) return "yes";
  return need;
}
