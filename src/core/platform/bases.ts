import { limits } from "../model/defaults.js";
import { DinpError, isDinpError, messageOf } from "../model/errors.js";
import { assertBaseName } from "../model/image-names.js";
import type { Base, ImageRef } from "../model/records.js";
import type { ByteStream } from "../ports/registry.js";
import { withSignal } from "./app-records.js";
import { change } from "./change.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import { withImage, type LocatedImage } from "./located-image.js";
import { fromOwnRegistry } from "./own-registry.js";
import { printable, quoted } from "./text.js";
import { boundedStream } from "./bounded-stream.js";
import { Upload } from "./upload.js";
import type { BaseView } from "./views.js";
import { withinTime } from "./within-time.js";

/** What a base image is made of: a tar, or an image that is in the registry. */
export type BaseRequest = { readonly bytes: ByteStream } | { readonly image: string };

const IMPORTS_MAX = 2;
const IDLE_MS = 60_000;

/** By name. */
export async function listBases(context: PlatformContext, options: ReadOptions): Promise<BaseView[]> {
  const views: BaseView[] = [];
  for await (const { value } of context.store.list("base", withSignal(options))) views.push(baseView(value));
  return views;
}

/** Registers base images, a bounded number at a time, and forgets them. */
export class Bases {
  readonly #context: PlatformContext;
  #running = 0;

  constructor(context: PlatformContext) {
    this.#context = context;
  }

  /**
   * Gives an image a name that apps and templates can be put on; a name that there is points to the new image from then
   * on. Images that were built stay as they are. Errors: those of `storeImageArchive` and `Images`, `DINP_BUSY`,
   * `DINP_TOO_LARGE`, `DINP_TIMEOUT`, `DINP_ABORTED`.
   */
  async add(name: string, request: BaseRequest, options: WriteOptions): Promise<BaseView> {
    assertBaseName(name);
    if (this.#running >= IMPORTS_MAX) {
      throw new DinpError(
        "DINP_BUSY",
        `${String(IMPORTS_MAX)} base images are being registered, which is as many as may.`,
        {
          retryable: true,
          hint: "Try again when one of them is there.",
        },
      );
    }
    this.#running += 1;
    const { clock, buildTimeoutMs: ms } = this.#context;
    const limit = { clock, ms, what: "The base image", signal: options.signal };
    try {
      return await withinTime(limit, (signal) => this.#add(name, request, options, signal));
    } finally {
      this.#running -= 1;
    }
  }

  async #add(
    name: string,
    request: BaseRequest,
    options: WriteOptions,
    signal: AbortSignal,
  ): Promise<BaseView> {
    const { hasher, clock } = this.#context;
    const repository = `bases/${name}`;
    if ("image" in request) {
      const find = async (): Promise<{ readonly image: ImageRef; readonly source: string }> => {
        const bring = ({ bring }: LocatedImage): Promise<ImageRef> => bring(repository);
        const image = await withImage(this.#context, request.image, { signal }, bring);
        return { image, source: `image ${printable(request.image, 300)}` };
      };
      let known: ReturnType<typeof find> | null = null;
      return this.#register(name, { name, image: request.image }, options, () => (known ??= find()));
    }
    const upload = new Upload(request.bytes, hasher, limits.uploadBytesMax);
    const bytes = boundedStream(upload, { bytesMax: limits.uploadBytesMax, idleMs: IDLE_MS }, clock, signal);
    const { image, kind } = await this.#import(repository, bytes, signal);
    const input = { name, sha256: await upload.digest() };
    return this.#register(name, input, options, () => Promise.resolve({ image, source: kind }));
  }

  async #import(
    repository: string,
    bytes: ByteStream,
    signal: AbortSignal,
  ): ReturnType<PlatformContext["images"]["importArchive"]> {
    try {
      return await this.#context.images.importArchive(repository, bytes, { signal });
    } catch (error) {
      throw fromOwnRegistry(error);
    }
  }

  async #register(
    name: string,
    input: object,
    options: WriteOptions,
    find: () => Promise<{ readonly image: ImageRef; readonly source: string }>,
  ): Promise<BaseView> {
    const { store, images } = this.#context;
    let replaced: ImageRef | null = null;
    const view = await change<BaseView>(this.#context, "base.add", input, options, async (now) => {
      const { image, source } = await find();
      const { layers } = await images.describe(image, {});
      const known = await store.get("base", name);
      replaced = known?.value.image ?? null;
      const base: Base = {
        ...{ name, image, source, layers: layers.length },
        bytes: layers.reduce((sum, { size }) => sum + size, 0),
        createdAt: now,
        createdBy: options.caller.subject,
      };
      const message = `base image ${name} is ${image.digest.slice(0, 19)}, from ${source}`;
      return {
        writes: [{ op: "put", kind: "base", value: base, ifRevision: known?.revision ?? "absent" }],
        events: [{ type: "base.added", message }],
        result: baseView(base),
      };
    });
    await this.#discard(replaced, view.digest);
    return view;
  }

  /** `DINP_NOT_FOUND` when there is none. Images that were built on it stay as they are. */
  async remove(name: string, options: WriteOptions): Promise<{ readonly deleted: true }> {
    assertBaseName(name);
    let removed: ImageRef | null = null;
    const result = await change(this.#context, "base.remove", { name }, options, async () => {
      const known = await this.#context.store.get("base", name, withSignal(options));
      if (known === null) {
        throw new DinpError("DINP_NOT_FOUND", `There is no base image ${quoted(name)}.`, {
          hint: "List the base images to see their names.",
        });
      }
      removed = known.value.image;
      return {
        writes: [{ op: "delete", kind: "base", key: name, ifRevision: known.revision }],
        events: [{ type: "base.removed", message: `base image ${name} was removed` }],
        result: { deleted: true } as const,
      };
    });
    await this.#discard(removed, null);
    return result;
  }

  /** Apps have their bases' layers themselves: what the name no longer points to can go. */
  async #discard(image: ImageRef | null, kept: string | null): Promise<void> {
    if (image === null || image.digest === kept) return;
    try {
      await this.#context.images.discard(image);
    } catch (error) {
      if (isDinpError(error, "DINP_ABORTED")) throw error;
      this.#context.logger.warn("an old base image could not be removed from the registry", {
        image: image.digest,
        error: messageOf(error),
      });
    }
  }
}

function baseView(base: Base): BaseView {
  const { name, image, source, layers, bytes, createdAt, createdBy } = base;
  const reference = `${image.repository}@${image.digest}`;
  return { name, image: reference, digest: image.digest, source, layers, bytes, createdAt, createdBy };
}
