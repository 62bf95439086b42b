import { createHash } from "node:crypto";
import { inflateRawSync } from "node:zlib";
import { DinpError } from "@dinp/core";
import { oneOf, smallTar, tarOf, textFile, type ArchiveFile } from "./docker-archive.js";
import type { Engine } from "./engine.js";
import { isRefusal } from "./engine-refusal.js";
import { binaries } from "./init/binaries.js";
import { INIT_FOLDER, INIT_PATH } from "./init-lines.js";
import { textAt, numberAt } from "./json.js";
import { loadArchive } from "./load-archive.js";
import { labels, type Names } from "./names.js";

/** The volume from which containers have their first process, made when it is not there. */
export class Tools {
  readonly volume: string;
  readonly #engine: Engine;
  readonly #names: Names;
  readonly #program: Uint8Array;
  readonly #version: string;
  readonly #architecture: string;

  /** @param processor As the engine names it (`x86_64`). */
  constructor(engine: Engine, names: Names, processor: string) {
    const text = binaries[processor];
    if (text === undefined) {
      throw new DinpError("DINP_UNAVAILABLE", `The engine's processor, ${processor}, is not supported.`, {
        hint: `Use one of ${Object.keys(binaries).join(", ")}.`,
      });
    }
    this.#engine = engine;
    this.#names = names;
    this.#program = inflateRawSync(Buffer.from(text, "base64"));
    this.#version = createHash("sha256").update(this.#program).digest("hex").slice(0, 12);
    this.#architecture = processor === "aarch64" ? "arm64" : "amd64";
    this.volume = names.tools(this.#version);
  }

  /** See that the volume is there and whole. With `anew`, what was seen before does not count. */
  async prepare(
    options: { readonly anew?: boolean; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const { signal } = options;
    const ready = this.#names.toolsImage(`${this.#version}-ready`);
    if (options.anew !== true && (await this.#isThere(ready, signal))) return;
    const image = this.#names.toolsImage(this.#version);
    await loadArchive(this.#engine, tarOf(this.#imageFiles(image)), signal);
    await this.#fill(image, signal);
    const query = { repo: ready.slice(0, ready.lastIndexOf(":")), tag: `${this.#version}-ready` };
    await this.#engine.ask("POST", `/images/${encodeURIComponent(image)}/tag`, { query, signal });
  }

  async #isThere(ready: string, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await this.#engine.ask("GET", `/images/${encodeURIComponent(ready)}/json`, { signal });
      await this.#engine.ask("GET", `/volumes/${this.volume}`, { signal });
      return true;
    } catch (error) {
      if (isRefusal(error, 404)) return false;
      throw error;
    }
  }

  /** The engine copies the image's files into an empty volume when a container with both is made. */
  async #fill(image: string, signal: AbortSignal | undefined): Promise<void> {
    const marks = { [labels.cluster]: this.#names.clusterId, [labels.kind]: "tools" };
    const body = { Name: this.volume, Labels: marks };
    await this.#engine.ask("POST", "/volumes/create", { body, signal });
    const created = await this.#engine.ask("POST", "/containers/create", {
      body: {
        Image: image,
        Cmd: [INIT_PATH],
        Labels: marks,
        HostConfig: {
          NetworkMode: "none",
          Mounts: [{ Type: "volume", Source: this.volume, Target: INIT_FOLDER }],
        },
      },
      signal,
    });
    const path = `/containers/${textAt(created, "Id")}`;
    try {
      const headers = await this.#engine.head(`${path}/archive`, { query: { path: INIT_PATH }, signal });
      const stat = String(headers["x-docker-container-path-stat"]);
      const size = numberAt(JSON.parse(Buffer.from(stat, "base64").toString()), "size");
      if (size === this.#program.length) return;
    } catch (error) {
      if (!isRefusal(error, 404)) throw error;
    } finally {
      await this.#engine.ask("DELETE", path, { query: { force: "true" }, signal });
    }
    // What an engine that died while it copied left.
    await this.#engine.ask("DELETE", `/volumes/${this.volume}`, { signal });
    throw new DinpError("DINP_UNAVAILABLE", `The volume ${this.volume} was not whole, and was removed.`, {
      retryable: true,
      hint: "Try again.",
    });
  }

  *#imageFiles(image: string): Generator<ArchiveFile, void, undefined> {
    const layer = smallTar([
      { path: `${INIT_FOLDER.slice(1)}/`, mode: 0o755, bytes: Buffer.alloc(0) },
      { path: INIT_PATH.slice(1), mode: 0o755, bytes: this.#program },
    ]);
    const config = JSON.stringify({
      architecture: this.#architecture,
      os: "linux",
      config: { Labels: { [labels.cluster]: this.#names.clusterId, [labels.kind]: "tools" } },
      rootfs: { type: "layers", diff_ids: [`sha256:${createHash("sha256").update(layer).digest("hex")}`] },
    });
    yield { path: "layer.tar", size: layer.length, bytes: oneOf(layer) };
    yield textFile("config.json", config);
    yield textFile(
      "manifest.json",
      JSON.stringify([{ Config: "config.json", RepoTags: [image], Layers: ["layer.tar"] }]),
    );
  }
}
