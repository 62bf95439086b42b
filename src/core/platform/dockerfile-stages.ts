import {
  beginStage,
  expand,
  globalArgs,
  noSettings,
  parseDockerfile,
  refusedAt,
  settingsOf,
  shown,
  stepOf,
  type Dockerfile,
  type DockerfileStage,
  type ImageSettings,
  type RawInstruction,
  type StageAction,
  type StageState,
} from "../build/dockerfile/index.js";
import type { ImagePlatform } from "../build/image-plan.js";
import { DinpError, isDinpError } from "../model/errors.js";
import type { ImageRef } from "../model/records.js";
import type { Registry } from "../ports/registry.js";
import type { ImageTree, ImageWork } from "../ports/image-workshop.js";
import { mountBase } from "./base-source.js";
import { copyFromTree, copyFromUpload, makeFolder } from "./dockerfile-copy.js";
import { readImageJson } from "./image-reader.js";
import { isObject } from "./image-json.js";
import type { UploadContext } from "./upload-context.js";

/** The image that a stage begins with; its layers are part of the app's repository. */
export type StageBase = Awaited<ReturnType<typeof mountBase>>;

/** What a stage has become. */
export interface FinishedStage {
  readonly name: string | null;
  readonly tree: ImageTree;
  readonly settings: ImageSettings;
  /** Null: it began with nothing. */
  readonly base: StageBase | null;
}

export interface StageParts {
  readonly registry: Registry;
  readonly repository: string;
  readonly platform: ImagePlatform;
  /** The image that a `FROM` names, in the platform's registry. */
  readonly findImage: (reference: string, signal: AbortSignal) => Promise<ImageRef>;
  readonly say: (line: string) => void;
}

/** Takes a Dockerfile's stages one after the other. */
export class DockerfileStages {
  readonly #parts: StageParts;
  readonly #context: UploadContext;
  readonly #file: Dockerfile;
  readonly #globals: ReadonlyMap<string, string>;
  readonly #total: number;
  readonly #finished: FinishedStage[] = [];
  #done = 0;

  /** `DINP_INVALID` for what is not done here; nothing has been done then. */
  constructor(parts: StageParts, context: UploadContext) {
    this.#parts = parts;
    this.#context = context;
    this.#file = parseDockerfile(context.dockerfile);
    this.#globals = globalArgs(this.#file.globals, this.#file.escape);
    this.#total = this.#file.stages.reduce((sum, { instructions }) => sum + 1 + instructions.length, 0);
  }

  /** The last stage. */
  async run(work: ImageWork, signal: AbortSignal): Promise<FinishedStage> {
    let last: FinishedStage | null = null;
    for (const stage of this.#file.stages) {
      last = await this.#stage(work, stage, signal);
      this.#finished.push(last);
    }
    if (last === null) throw new DinpError("DINP_INVALID", "The Dockerfile has no FROM.");
    return last;
  }

  async #stage(work: ImageWork, stage: DockerfileStage, signal: AbortSignal): Promise<FinishedStage> {
    this.#announce(stage.from);
    const begun = await this.#begin(work, stage, signal);
    let state = beginStage(begun.settings);
    const file = { escape: this.#file.escape, globals: this.#globals };
    for (const instruction of stage.instructions) {
      signal.throwIfAborted();
      this.#announce(instruction);
      const step = stepOf(state, instruction, file);
      ({ state } = step);
      try {
        await this.#act(work, begun.tree, step.action, state, instruction, signal);
      } catch (error) {
        throw atLine(instruction, error);
      }
    }
    return { ...begun, name: stage.name, settings: state.settings };
  }

  async #begin(
    work: ImageWork,
    { from, base }: DockerfileStage,
    signal: AbortSignal,
  ): Promise<Omit<FinishedStage, "name">> {
    const place = { place: from, escape: this.#file.escape };
    const reference = expand(base, { ...place, valueOf: (name) => this.#globals.get(name) });
    if (reference === "")
      throw refusedAt(from, `${shown(base, 80)} stands for nothing`, "Give the ARG a value.");
    const earlier = this.#finished.findLast(({ name }) => name === reference.toLowerCase());
    if (earlier !== undefined) {
      const { settings, base: own } = earlier;
      return { tree: await earlier.tree.fork(), settings, base: own };
    }
    if (reference === "scratch") return { tree: await work.start(null), settings: noSettings, base: null };
    return this.#image(work, reference, from, signal);
  }

  async #image(
    work: ImageWork,
    reference: string,
    instruction: RawInstruction,
    signal: AbortSignal,
  ): Promise<Omit<FinishedStage, "name">> {
    const { registry, repository, platform, findImage } = this.#parts;
    try {
      const image = await findImage(reference, signal);
      const base = await mountBase(registry, reference, image, repository, platform, { signal });
      const { config } = await readImageJson(registry, image, { signal });
      const settings = isObject(config) ? config : {};
      if (Array.isArray(settings["OnBuild"]) && settings["OnBuild"].length > 0)
        throw refusedAt(
          instruction,
          `${shown(reference, 200)} has ONBUILD instructions`,
          "Use an image without.",
        );
      return { tree: await work.start(image), settings: settingsOf(settings), base };
    } catch (error) {
      throw atLine(instruction, error);
    }
  }

  async #act(
    work: ImageWork,
    tree: ImageTree,
    action: StageAction,
    { settings }: StageState,
    instruction: RawInstruction,
    signal: AbortSignal,
  ): Promise<void> {
    switch (action.do) {
      case "nothing":
        if (action.note !== null) this.#parts.say(`${instruction.keyword}: ${action.note}`);
        return;
      case "folder":
        await makeFolder(tree, action.path, instruction);
        return;
      case "run": {
        const { command, env } = action;
        const { user, workingDir } = settings;
        await tree.run({ command, env, user, workingDir });
        return;
      }
      case "copy":
        if (action.from === null) {
          await copyFromUpload(tree, this.#context, action, instruction, signal);
          return;
        }
        await copyFromTree(
          tree,
          await this.#source(work, action.from, instruction, signal),
          action,
          instruction,
        );
    }
  }

  /** A stage by its name or number, else an image. */
  async #source(
    work: ImageWork,
    from: string,
    instruction: RawInstruction,
    signal: AbortSignal,
  ): Promise<ImageTree> {
    const named = this.#finished.findLast(({ name }) => name === from.toLowerCase());
    const stage = named ?? (/^\d{1,3}$/.test(from) ? this.#finished[Number(from)] : undefined);
    if (stage !== undefined) return stage.tree;
    if (/^\d+$/.test(from))
      throw refusedAt(instruction, `there is no earlier stage ${from}`, "Stages are counted from 0.");
    return (await this.#image(work, from, instruction, signal)).tree;
  }

  #announce({ keyword, flags, text }: RawInstruction): void {
    this.#done += 1;
    const said = [...flags].map(([name, value]) => `--${name}=${value ?? ""} `).join("");
    this.#parts.say(`step ${String(this.#done)}/${String(this.#total)}: ${keyword} ${shown(said + text)}`);
  }
}

/** Says where, unless that is said; what is no fault of the Dockerfile's stays as it is. */
function atLine({ line, keyword }: RawInstruction, error: unknown): unknown {
  if (!isDinpError(error) || error.retryable) return error;
  if (!["DINP_INVALID", "DINP_IMAGE_NOT_FOUND", "DINP_TOO_LARGE"].includes(error.code)) return error;
  if (error.message.startsWith("Dockerfile line ")) return error;
  const { code, message, hint, details } = error;
  return new DinpError(code, `Dockerfile line ${String(line)}, ${keyword}: ${message}`, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
    details: { ...details, field: "Dockerfile", line, instruction: keyword },
  });
}
