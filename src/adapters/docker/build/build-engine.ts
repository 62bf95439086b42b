import { DinpError, isDinpError, messageOf } from "@dinp/core";
import { Engine, unavailable } from "../engine.js";
import { ImageStore } from "../image-store.js";
import { listAt, textAt } from "../json.js";
import { labels, type Names } from "../names.js";
import type { DockerEngineAddress, DockerImages } from "../options.js";
import { Remover } from "../remover.js";

const ENGINE_TIMEOUT_MS = 60_000;

export interface OpenedBuildEngine {
  readonly engine: Engine;
  readonly images: ImageStore;
  readonly remover: Remover;
}

export interface BuildEngineOptions {
  readonly engine?: DockerEngineAddress;
  readonly engineTimeoutMs?: number;
  readonly images: DockerImages;
  /** The label `kind` of the containers. */
  readonly kind: string;
  /** The longest wait for an image. */
  readonly timeMs: number;
}

/** The engine that builds run on, connected to when it is first needed, with what a killed platform left there removed. */
export class BuildEngine {
  readonly names: Names;
  readonly #options: BuildEngineOptions;
  readonly #closing = new AbortController();
  #opened: Promise<OpenedBuildEngine> | null = null;

  constructor(names: Names, options: BuildEngineOptions) {
    this.names = names;
    this.#options = options;
  }

  /** Aborts when it is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  async open(signal: AbortSignal | undefined): Promise<OpenedBuildEngine> {
    if (this.#closing.signal.aborted) throw new DinpError("DINP_CLOSED", "The platform is being ended.");
    this.#opened ??= this.#connect(signal);
    try {
      return await this.#opened;
    } catch (error) {
      // The next one tries anew.
      this.#opened = null;
      throw error;
    }
  }

  /** Tells all that runs to end, waits for it, and removes what is left. */
  async close(idle: () => Promise<void>): Promise<void> {
    this.#closing.abort();
    await idle();
    const opened = await this.#opened?.catch(() => null);
    if (opened === null || opened === undefined) return;
    try {
      await this.#sweep(opened);
    } catch {
      // The next start removes it.
    }
    await opened.images.close();
    opened.engine.close();
  }

  async #connect(signal: AbortSignal | undefined): Promise<OpenedBuildEngine> {
    const { engine: address, engineTimeoutMs = ENGINE_TIMEOUT_MS, images, timeMs } = this.#options;
    const place = address ?? { socketPath: "/var/run/docker.sock" };
    const engine = await Engine.open(place, engineTimeoutMs, signal).catch((error: unknown) => {
      throw isDinpError(error) ? error : unavailable(messageOf(error), error);
    });
    try {
      const processor = textAt(await engine.ask("GET", "/info", { signal }), "Architecture");
      const architecture = processor === "aarch64" ? "arm64" : "amd64";
      const store = { engine, names: this.names, images, architecture, timeoutMs: timeMs };
      const opened = { engine, remover: new Remover(engine), images: new ImageStore(store) };
      await this.#sweep(opened);
      return opened;
    } catch (error) {
      engine.close();
      throw error;
    }
  }

  /** Removes all containers of the kind, and the names of images: those that something else uses stay. */
  async #sweep({ engine, images, remover }: OpenedBuildEngine): Promise<void> {
    const label = [`${labels.cluster}=${this.names.clusterId}`, `${labels.kind}=${this.#options.kind}`];
    const query = { all: "true", filters: JSON.stringify({ label }) };
    for (const found of listAt(await engine.ask("GET", "/containers/json", { query })))
      await remover.remove(textAt(found, "Id"));
    await images.prune([]);
  }
}
