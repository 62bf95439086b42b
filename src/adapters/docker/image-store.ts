import { createHash } from "node:crypto";
import { DinpError, isDinpError, messageOf, type ImageRef } from "@dinp/core";
import type { ImageFacts } from "./container-spec.js";
import type { Engine } from "./engine.js";
import { EngineRefusal, isRefusal } from "./engine-refusal.js";
import { listAt, textAt, textsAt } from "./json.js";
import { LoadAhead } from "./load-ahead.js";
import type { Names } from "./names.js";
import type { DockerCredentials, DockerImages, DockerImageTarget } from "./options.js";
import { orAborted, throwIfAborted } from "../runtime/aborting.js";
import { Gate } from "../runtime/gate.js";

/** Images that come at the same time. */
const FETCHES_MAX = 3;
/** The engine names the newest first. */
const IMAGES_LOOKED_AT_MAX = 200;
/** Marks an image that this cluster pulled, and nobody before: with its name goes the one that the pull made. */
const PULLED = "-pulled";
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const REPOSITORY = /^[a-z0-9]+(?:[._/-]+[a-z0-9]+)*$/;

interface Fetch {
  readonly done: Promise<void>;
  readonly stop: AbortController;
  waiting: number;
}

/** The cluster's images on the engine, each under a name of the cluster's own. */
export class ImageStore {
  readonly #engine: Engine;
  readonly #names: Names;
  readonly #images: DockerImages;
  readonly #architecture: string;
  readonly #timeoutMs: number;
  readonly #fetches = new Map<string, Fetch>();
  readonly #gate = new Gate(FETCHES_MAX);
  readonly #loads: LoadAhead;
  /** Chains of layers (each by its lowest to a topmost layer) that the engine had when it was looked. */
  readonly #chains = new Set<string>();

  constructor(options: {
    readonly engine: Engine;
    readonly names: Names;
    readonly images: DockerImages;
    readonly architecture: string;
    readonly timeoutMs: number;
  }) {
    this.#engine = options.engine;
    this.#names = options.names;
    this.#images = options.images;
    this.#architecture = options.architecture;
    this.#timeoutMs = options.timeoutMs;
    this.#loads = new LoadAhead(options.engine);
  }

  /** An image will come in a moment, and it is not known yet which. */
  expect(): void {
    if (this.#images.loads === true) this.#loads.begin();
  }

  /** What is known of a prepared image; null when it is not prepared. */
  async find(image: ImageRef, signal?: AbortSignal): Promise<ImageFacts | null> {
    if (!isReference(image)) return null;
    return this.#inspect(this.#names.image(image), signal);
  }

  /** Brings the image unless it is there. Callers at the same time share one fetch, which ends when none waits for it. */
  async prepare(image: ImageRef, signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    if (!isReference(image)) throw notFound(image);
    const name = this.#names.image(image);
    const fetch = this.#fetches.get(name) ?? this.#begin(image, name);
    fetch.waiting += 1;
    try {
      await orAborted(fetch.done, signal);
    } finally {
      fetch.waiting -= 1;
      if (fetch.waiting === 0) fetch.stop.abort();
    }
  }

  /** Removes the cluster's names of images but these; images that something uses stay. */
  async prune(keep: readonly ImageRef[]): Promise<void> {
    const kept = new Set(keep.filter(isReference).map((image) => this.#names.image(image)));
    const tools = this.#names.toolsImage("");
    for (const image of listAt(await this.#engine.ask("GET", "/images/json"))) {
      const tags = textsAt(image, "RepoTags");
      const own = tags.filter((tag) => tag.startsWith(this.#names.imagePrefix) && !tag.startsWith(tools));
      const dropped = own.filter((tag) => {
        const name = tag.endsWith(PULLED) ? tag.slice(0, -PULLED.length) : tag;
        return !kept.has(name) && !this.#fetches.has(name);
      });
      if (dropped.length === 0) continue;
      this.#chains.clear();
      const isLast = dropped.length === tags.length && dropped.some((tag) => tag.endsWith(PULLED));
      for (const name of [...dropped, ...(isLast ? textsAt(image, "RepoDigests") : [])])
        await this.#untag(name);
    }
  }

  /** Ends all fetches. */
  async close(): Promise<void> {
    const fetches = [...this.#fetches.values()];
    for (const { stop } of fetches) stop.abort();
    await Promise.allSettled([...fetches.map(({ done }) => done), this.#loads.close()]);
  }

  async #untag(name: string): Promise<void> {
    try {
      await this.#engine.ask("DELETE", `/images/${encodeURIComponent(name)}`);
    } catch (error) {
      // A container uses it, or it is gone.
      if (!isRefusal(error, 404, 409)) throw error;
    }
  }

  #begin(image: ImageRef, name: string): Fetch {
    const stop = new AbortController();
    const done = this.#gate.run(() => this.#fetch(image, name, stop.signal));
    const fetch = { done, stop, waiting: 0 };
    this.#fetches.set(name, fetch);
    const forget = (): void => {
      if (this.#fetches.get(name) === fetch) this.#fetches.delete(name);
    };
    // Whoever comes after the last waiter left begins anew.
    stop.signal.addEventListener("abort", forget, { once: true });
    done.then(forget, forget);
    return fetch;
  }

  async #fetch(image: ImageRef, name: string, stopped: AbortSignal): Promise<void> {
    if ((await this.#inspect(name, stopped)) !== null) return;
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort();
    }, this.#timeoutMs);
    const signal = AbortSignal.any([stopped, late.signal]);
    try {
      await this.#lookAtLayers(signal);
      await orAborted(this.#images.bring(image, this.#target(name, signal)), signal);
    } catch (error) {
      if (late.signal.aborted) {
        const took = `did not come within ${String(Math.round(this.#timeoutMs / 1000))} s`;
        throw new DinpError("DINP_UNAVAILABLE", `The image ${image.digest} ${took}.`, {
          retryable: true,
          cause: error,
        });
      }
      if (isDinpError(error) || error instanceof EngineRefusal) throw error;
      throw new DinpError(
        "DINP_UNAVAILABLE",
        `The image ${image.digest} could not be fetched: ${messageOf(error)}`,
        {
          retryable: true,
          cause: error,
        },
      );
    } finally {
      clearTimeout(timer);
    }
    const facts = await this.#inspect(name, stopped);
    if (facts !== null) return;
    throw new DinpError(
      "DINP_UNAVAILABLE",
      `The engine does not have the image ${image.digest} after it was fetched.`,
      {
        retryable: true,
        hint: "Something else may have removed it.",
      },
    );
  }

  #target(name: string, signal: AbortSignal): DockerImageTarget {
    return {
      name,
      signal,
      architecture: this.#architecture,
      hasLayers: (diffIds) => diffIds.length > 0 && this.#chains.has(chainOf(diffIds)),
      load: (archive) => this.#loads.load(archive, signal),
      pull: (reference, credentials) => this.#pull(reference, name, credentials, signal),
    };
  }

  async #pull(
    reference: string,
    name: string,
    credentials: DockerCredentials | null,
    signal: AbortSignal,
  ): Promise<void> {
    const wasThere = (await this.#inspect(reference, signal)) !== null;
    if (!wasThere) await this.#pullNew(reference, credentials, signal);
    const at = name.lastIndexOf(":");
    const path = `/images/${encodeURIComponent(reference)}/tag`;
    const suffixes = wasThere ? [""] : [PULLED, ""];
    for (const suffix of suffixes) {
      const query = { repo: name.slice(0, at), tag: name.slice(at + 1) + suffix };
      await this.#engine.ask("POST", path, { query, signal });
    }
  }

  async #pullNew(
    reference: string,
    credentials: DockerCredentials | null,
    signal: AbortSignal,
  ): Promise<void> {
    const request = {
      query: { fromImage: reference },
      signal,
      timeoutMs: this.#timeoutMs,
      ...(credentials === null
        ? {}
        : { credentials: { ...credentials, serveraddress: reference.split("/")[0] ?? "" } }),
    };
    try {
      for await (const line of this.#engine.progress("/images/create", request)) {
        const message = textAt(line, "error");
        if (message !== "") throw pullError(reference, message);
      }
    } catch (error) {
      if (error instanceof EngineRefusal) throw pullError(reference, error.message);
      throw error;
    }
  }

  async #inspect(name: string, signal: AbortSignal | undefined): Promise<ImageFacts | null> {
    try {
      const image = await this.#engine.ask("GET", `/images/${encodeURIComponent(name)}/json`, { signal });
      this.#note(textsAt(image, "RootFS", "Layers"));
      const path = textsAt(image, "Config", "Env").find((variable) => variable.startsWith("PATH="));
      const entrypoint = textsAt(image, "Config", "Entrypoint");
      return {
        id: textAt(image, "Id"),
        user: textAt(image, "Config", "User"),
        path: path === undefined ? null : path.slice("PATH=".length),
        command: [...entrypoint, ...textsAt(image, "Config", "Cmd")],
      };
    } catch (error) {
      if (isRefusal(error, 404)) return null;
      throw error;
    }
  }

  /** Learns which layers the engine has, from its images; once, and after images were removed. */
  async #lookAtLayers(signal: AbortSignal): Promise<void> {
    if (this.#chains.size > 0) return;
    const images = listAt(await this.#engine.ask("GET", "/images/json", { signal }));
    for (const image of images.slice(0, IMAGES_LOOKED_AT_MAX))
      await this.#inspect(textAt(image, "Id"), signal);
  }

  #note(diffIds: readonly string[]): void {
    for (let count = 1; count <= diffIds.length; count += 1)
      this.#chains.add(chainOf(diffIds.slice(0, count)));
  }
}

export function notFound({ digest }: ImageRef): DinpError {
  return new DinpError("DINP_IMAGE_NOT_FOUND", `There is no image ${digest.slice(0, 100)}.`);
}

function isReference({ repository, digest }: ImageRef): boolean {
  return DIGEST.test(digest) && REPOSITORY.test(repository) && repository.length <= 200;
}

/** The name of a stack of layers (image-spec 1.1, config.md, "Layer ChainID"), but short of its own hashes. */
function chainOf(diffIds: readonly string[]): string {
  return createHash("sha256").update(diffIds.join(" ")).digest("hex");
}

function pullError(reference: string, message: string): DinpError {
  const text = `The engine cannot pull ${reference}: ${message}`;
  if (/unauthorized|denied|authentication required|no basic auth/i.test(message)) {
    return new DinpError("DINP_FORBIDDEN", text, { hint: "See that the registry's credentials are right." });
  }
  if (/verification failed|does not match|unexpected digest|digest invalid/i.test(message))
    return new DinpError("DINP_DIGEST_MISMATCH", text);
  if (/not found|unknown|no such image|does not exist/i.test(message))
    return new DinpError("DINP_IMAGE_NOT_FOUND", text);
  return new DinpError("DINP_UNAVAILABLE", text, { retryable: true });
}
