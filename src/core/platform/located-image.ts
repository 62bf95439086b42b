import { DinpError, isDinpError } from "../model/errors.js";
import { splitRegistryHost } from "../model/image-names.js";
import type { ImageRef } from "../model/records.js";
import type { Registry } from "../ports/registry.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import type { ImageDescription } from "./image-reader.js";
import type { Images } from "./images.js";
import { accessTo } from "./registries.js";
import { withinTime } from "./within-time.js";

/** An image where a reference to it leads: in the platform's registry, or in another one. */
export interface LocatedImage {
  /** The images of the registry that has it. */
  readonly images: Images;
  readonly image: ImageRef;
  readonly description: ImageDescription;
  /** Makes it one of a repository of the platform's registry, with the same digest. */
  readonly bring: (repository: string) => Promise<ImageRef>;
}

/** Images that may be taken from other registries at the same time. */
const PULLS_MAX = 4;

/** Turns for what is taken from other registries. */
export class PullSlots {
  #taken = 0;

  /** `DINP_BUSY` when there is none; else what is to be called when it is free again. */
  take(): () => void {
    if (this.#taken >= PULLS_MAX) {
      throw new DinpError(
        "DINP_BUSY",
        `${String(PULLS_MAX)} images are being taken from other registries, which is as many as may.`,
        { retryable: true, hint: "Try again when one of them is there." },
      );
    }
    this.#taken += 1;
    return () => {
      this.#taken -= 1;
    };
  }
}

/**
 * Finds an image, once, and gives it to `use`; of an index it is the one that the nodes run. In another registry it can be
 * used until `use` has ended, and no longer than a build may take. Errors: those of `Images`; `DINP_INVALID` for a registry
 * that is not allowed or refuses its credentials, `DINP_BUSY`, `DINP_TIMEOUT`.
 */
export async function withImage<T>(
  context: PlatformContext,
  text: string,
  options: ReadOptions,
  use: (located: LocatedImage, options: ReadOptions) => Promise<T>,
): Promise<T> {
  const { images } = context;
  const { host, reference } = splitRegistryHost(text);
  if (host === null) {
    const image = await images.find(reference, options);
    const description = await images.describe(image, options);
    const bring = (repository: string): Promise<ImageRef> =>
      images.adopt(image, description, repository, options);
    return use({ images, image, description, bring }, options);
  }
  return withRegistry(context, host, options, async (registry, bounded) => {
    const there = images.of(registry, `the registry ${host}`);
    const image = await there.forNodes(await there.find(reference, bounded), bounded);
    const description = await there.describe(image, bounded);
    const bring = (repository: string): Promise<ImageRef> =>
      images.copy(registry, image, description, repository, bounded);
    return use({ images: there, image, description, bring }, bounded);
  });
}

async function withRegistry<T>(
  context: PlatformContext,
  host: string,
  options: ReadOptions,
  use: (registry: Registry, options: ReadOptions) => Promise<T>,
): Promise<T> {
  const access = await accessTo(context, host, options);
  const connected = context.registries.connect(access);
  const free = context.pulls.take();
  const { clock, buildTimeoutMs: ms } = context;
  const limit = { clock, ms, what: `The image of ${host}`, signal: options.signal };
  try {
    return await withinTime(limit, (signal) => use(connected.registry, { signal }));
  } catch (error) {
    throw fromThere(host, error);
  } finally {
    await connected.close();
    free();
  }
}

/** Who may not use that registry is not who asks the platform. */
function fromThere(host: string, error: unknown): unknown {
  if (!isDinpError(error, "DINP_UNAUTHENTICATED") && !isDinpError(error, "DINP_FORBIDDEN")) return error;
  return new DinpError("DINP_INVALID", `The registry ${host} does not give the image: ${error.message}`, {
    cause: error,
    hint: `Is the name right? Give other credentials with "dinp registries add ${host} --username USER".`,
    details: { field: "image" },
  });
}
