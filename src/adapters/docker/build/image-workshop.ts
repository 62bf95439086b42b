import { randomBytes } from "node:crypto";
import { DinpError, type ImageRef, type ImageTree, type ImageWork, type ImageWorkshop } from "@dinp/core";
import { smallTar } from "../docker-archive.js";
import { jsonLines, type Engine } from "../engine.js";
import { EngineRefusal, isRefusal, asDinpError } from "../engine-refusal.js";
import { member, textAt, listAt } from "../json.js";
import { labels, Names } from "../names.js";
import { Gate } from "../../runtime/gate.js";
import { BuildEngine, type OpenedBuildEngine } from "./build-engine.js";
import { ContainerTree, type WorkContext } from "./container-tree.js";
import { workKind } from "./work-body.js";
import {
  defaultWorkshopLimits,
  type DockerImageWorkshopOptions,
  type DockerWorkshopLimits,
} from "./workshop-options.js";

/** An {@link ImageWorkshop} that has an engine. */
export interface DockerImageWorkshop extends ImageWorkshop {
  /** Connects, and removes what a platform that was killed has left. Without it, the first work does that. */
  open(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Ends all works and removes what is the workshop's on the engine. Idempotent. */
  close(): Promise<void>;
}

/** Makes images of containers, program by program: see {@link ImageWorkshop}. */
export function createDockerImageWorkshop(options: DockerImageWorkshopOptions): DockerImageWorkshop {
  return new ContainerWorkshop(options);
}

type Work<T> = (place: ImageWork, signal: AbortSignal) => Promise<T>;

class ContainerWorkshop implements DockerImageWorkshop {
  readonly #options: DockerImageWorkshopOptions;
  readonly #limits: DockerWorkshopLimits;
  readonly #engine: BuildEngine;
  readonly #gate: Gate;

  constructor(options: DockerImageWorkshopOptions) {
    this.#options = options;
    this.#limits = { ...defaultWorkshopLimits, ...options.limits };
    // What a runtime or step runner of the cluster has and removes is another's.
    const names = new Names(`${options.clusterId}-images`);
    this.#engine = new BuildEngine(names, { ...options, kind: workKind, timeMs: this.#limits.timeMs });
    this.#gate = new Gate(this.#limits.worksMax);
  }

  async open(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.#engine.open(options.signal);
  }

  async close(): Promise<void> {
    await this.#engine.close(() => this.#gate.idle());
  }

  async during<T>(work: Work<T>, { log, signal }: Parameters<ImageWorkshop["during"]>[1]): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort();
    }, this.#limits.timeMs);
    const { closing } = this.#engine;
    const ends = AbortSignal.any([late.signal, closing, ...(signal === undefined ? [] : [signal])]);
    try {
      return await this.#gate.run(() => this.#work(work, log, ends));
    } catch (error) {
      if (late.signal.aborted) throw this.#tooLong();
      if (closing.aborted) throw new DinpError("DINP_CLOSED", "The platform is being ended.");
      if (signal?.aborted === true) throw new DinpError("DINP_ABORTED", "The build was aborted.");
      throw asDinpError("The engine refuses", error);
    } finally {
      clearTimeout(timer);
    }
  }

  async #work<T>(work: Work<T>, log: (line: string) => void, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    const opened = await this.#engine.open(signal);
    const id = randomBytes(6).toString("hex");
    const { names } = this.#engine;
    const repo = `${names.imagePrefix}work`;
    const tags: string[] = [];
    const { archive, network = "none" } = this.#options;
    const context: WorkContext = {
      ...{ engine: opened.engine, archive, signal, log },
      remover: opened.remover,
      defaults: { clusterId: names.clusterId, workId: id, network, limits: this.#limits },
      used: { logBytes: 0, diskBytes: 0 },
      newName: () => {
        const tag = `${id}-${String(tags.length)}`;
        tags.push(tag);
        return { repo, tag };
      },
    };
    try {
      const start = (image: ImageRef | null): Promise<ImageTree> => this.#start(opened, context, image);
      return await work({ start }, signal);
    } finally {
      await removeWork(
        opened,
        id,
        tags.reverse().map((tag) => `${repo}:${tag}`),
      );
    }
  }

  async #start(
    { engine, images }: OpenedBuildEngine,
    context: WorkContext,
    image: ImageRef | null,
  ): Promise<ImageTree> {
    if (image === null) return new ContainerTree(context, await emptyImage(context));
    await images.prepare(image, context.signal);
    const facts = await images.find(image, context.signal);
    if (facts === null) {
      throw new DinpError("DINP_UNAVAILABLE", "The image was removed from the engine.", {
        retryable: true,
        hint: "Try again.",
      });
    }
    const about = await engine.ask("GET", `/images/${encodeURIComponent(facts.id)}/json`, {
      signal: context.signal,
    });
    const volumes = Object.keys(Object(member(about, "Config", "Volumes") ?? {}) as object);
    return new ContainerTree(context, { id: facts.id, volumes });
  }

  #tooLong(): DinpError {
    const seconds = String(this.#limits.timeMs / 1000);
    return new DinpError("DINP_TIMEOUT", `The Dockerfile's steps took longer than ${seconds} s.`, {
      hint: "Do less in them, or push what they would make, made elsewhere.",
    });
  }
}

/** Of no file. */
async function emptyImage({ engine, newName, signal }: WorkContext): Promise<{ id: string; volumes: [] }> {
  const query = { fromSrc: "-", ...newName() };
  const archive = (async function* () {
    yield await Promise.resolve(smallTar([]));
  })();
  const response = await engine.stream("POST", "/images/create", { query, archive, signal });
  for await (const line of jsonLines(response)) {
    const message = textAt(line, "error");
    if (message !== "")
      throw new DinpError("DINP_UNAVAILABLE", `The engine makes no image: ${message}`, { retryable: true });
  }
  const name = encodeURIComponent(`${query.repo}:${query.tag}`);
  return { id: textAt(await engine.ask("GET", `/images/${name}/json`, { signal }), "Id"), volumes: [] };
}

/** The containers first: they use the images. */
async function removeWork(
  { engine, remover }: OpenedBuildEngine,
  workId: string,
  names: readonly string[],
): Promise<void> {
  const filters = JSON.stringify({ label: [`${labels.work}=${workId}`] });
  for (const found of listAt(
    await engine.ask("GET", "/containers/json", { query: { all: "true", filters } }),
  ))
    await remover.remove(textAt(found, "Id"));
  for (const name of names) await untag(engine, name);
}

async function untag(engine: Engine, name: string): Promise<void> {
  try {
    await engine.ask("DELETE", `/images/${encodeURIComponent(name)}`);
  } catch (error) {
    if (!isRefusal(error, 404, 409))
      throw error instanceof EngineRefusal ? asDinpError("The engine keeps an image", error) : error;
  }
}
