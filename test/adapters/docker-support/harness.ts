import { randomBytes } from "node:crypto";
import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ImageRef, InstanceSpec, Registry, Runtime } from "@dinp/core";
import { createDockerRuntime, loadImages, type DockerRuntimeOptions } from "@dinp/core/docker";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { createSystemClock } from "@dinp/core/system";
import type { RuntimeHarness } from "@dinp/core/testing";
import { freePort } from "../../../scripts/lib/services/ports.mjs";
import { eventually } from "../process-support/harness.js";
import { EngineClient } from "./engine-client.js";
import { nodeLayer, putLayers, tarOf } from "./images.js";
import { SocketProxy } from "./socket-proxy.js";

/** What the tests of one file share: images on disk, and an engine that has their base. */
export class DockerStage {
  readonly folder: string;
  readonly client: EngineClient;
  readonly registry: Registry;
  readonly socket: string;
  /** Where containers reach this machine. */
  readonly hostAddress: string;
  readonly #baseCluster = `test-${randomBytes(4).toString("hex")}`;

  private constructor(folder: string, client: EngineClient, hostAddress: string) {
    this.folder = folder;
    this.client = client;
    this.socket = client.socket;
    this.hostAddress = hostAddress;
    this.registry = createOciLayoutRegistry({ dir: join(folder, "registry") });
  }

  static async start(socket: string): Promise<DockerStage> {
    const folder = await mkdtemp(join(tmpdir(), "dinp-docker-"));
    const client = new EngineClient(socket);
    const stage = new DockerStage(folder, client, await client.hostAddress());
    await stage.#keepBase();
    return stage;
  }

  /** Gives the engine the base of all images, so that it is not sent with each of them. */
  async #keepBase(): Promise<void> {
    const runtime = createDockerRuntime({
      engine: { socketPath: this.socket },
      clusterId: this.#baseCluster,
      clock: createSystemClock(),
      images: loadImages(this.registry),
    });
    await runtime.open();
    try {
      await runtime.prepareImage(await putLayers(this.registry, "apps/base", [await nodeLayer()]));
    } finally {
      await runtime.close();
    }
  }

  /** An image of these files in `/app`, on a base with `node`; each call makes another one. */
  async makeImage(
    files: Readonly<Record<string, string>>,
    config: Readonly<Record<string, unknown>> = {},
  ): Promise<ImageRef> {
    const all = { ...files, ".unique": randomBytes(8).toString("hex") };
    const app = Object.entries(all).map(([path, text]) => ({
      path: `app/${path}`,
      bytes: Buffer.from(text),
      mode: 0o644,
    }));
    const { repository, digest } = await putLayers(
      this.registry,
      "apps/test",
      [await nodeLayer(), await tarOf(app)],
      config,
    );
    return { repository, digest };
  }

  /** Changes the bytes of the image's own layer on disk. */
  async damage({ repository, digest }: ImageRef): Promise<void> {
    const { bytes } = await this.registry.readManifest(repository, digest);
    const { layers } = JSON.parse(new TextDecoder().decode(bytes)) as {
      readonly layers: readonly { readonly digest: string }[];
    };
    const hex = layers.at(-1)?.digest.slice("sha256:".length) ?? "";
    const folder = join(this.folder, "registry/repositories", repository.replaceAll("/", "+"));
    await appendFile(join(folder, "blobs/sha256", hex), " ");
  }

  async dispose(): Promise<void> {
    await this.client.removeCluster(this.#baseCluster);
    await rm(this.folder, { recursive: true, force: true });
  }
}

export type DockerSettings = Partial<Omit<DockerRuntimeOptions, "clusterId" | "clock">>;

/** A docker runtime of a cluster of its own. */
export class DockerHarness implements RuntimeHarness {
  readonly stage: DockerStage;
  readonly clusterId = `test-${randomBytes(4).toString("hex")}`;
  readonly hostAddress: string;
  readonly proxy: SocketProxy;
  readonly #settings: DockerSettings;
  readonly #others: DockerHarness[] = [];
  #runtime: Runtime;
  #count = 0;

  private constructor(stage: DockerStage, proxy: SocketProxy, settings: DockerSettings) {
    this.stage = stage;
    this.proxy = proxy;
    this.hostAddress = stage.hostAddress;
    this.#settings = settings;
    this.#runtime = this.unopened();
  }

  static async make(stage: DockerStage, settings: DockerSettings = {}): Promise<DockerHarness> {
    const path = join(stage.folder, `${randomBytes(4).toString("hex")}.sock`);
    const proxy = await SocketProxy.start(path, stage.socket);
    const harness = new DockerHarness(stage, proxy, settings);
    await harness.runtime.open();
    return harness;
  }

  get runtime(): Runtime {
    return this.#runtime;
  }

  unopened(): Runtime {
    return createDockerRuntime({
      engine: { socketPath: this.proxy.path },
      clusterId: this.clusterId,
      clock: createSystemClock(),
      images: loadImages(this.stage.registry),
      ...this.#settings,
    });
  }

  /** Another runtime of the same cluster that reaches the engine past the proxy. */
  unopenedPast(): Runtime {
    return createDockerRuntime({
      engine: { socketPath: this.stage.socket },
      clusterId: this.clusterId,
      clock: createSystemClock(),
      images: loadImages(this.stage.registry),
      ...this.#settings,
    });
  }

  makeImage(files: Readonly<Record<string, string>>): Promise<ImageRef> {
    return this.stage.makeImage(files);
  }

  freePort(): Promise<number> {
    return freePort();
  }

  async reopen(): Promise<Runtime> {
    await this.#runtime.close();
    this.#runtime = this.unopened();
    await this.#runtime.open();
    return this.#runtime;
  }

  damage(image: ImageRef): Promise<void> {
    return this.stage.damage(image);
  }

  async foreign(): Promise<Runtime> {
    const other = await DockerHarness.make(this.stage, this.#settings);
    this.#others.push(other);
    return other.runtime;
  }

  outage(): Promise<() => Promise<void>> {
    this.proxy.set("refuse");
    return Promise.resolve(() => {
      this.proxy.set("pass");
      return Promise.resolve();
    });
  }

  /** An image that is ready to start. */
  async image(files: Readonly<Record<string, string>>): Promise<ImageRef> {
    const image = await this.makeImage(files);
    await this.#runtime.prepareImage(image);
    return image;
  }

  async spec(image: ImageRef, parts: Partial<InstanceSpec> = {}): Promise<InstanceSpec> {
    this.#count += 1;
    return {
      instanceId: `i-${String(this.#count)}`,
      appId: "app-1",
      appName: "hello",
      releaseId: "release-1",
      image,
      command: ["node", "server.js"],
      env: {},
      memoryMb: 128,
      cpuMillis: 1000,
      port: await this.freePort(),
      ...parts,
    };
  }

  async dispose(): Promise<void> {
    for (const other of this.#others) await other.dispose();
    this.proxy.set("pass");
    await this.#runtime.close();
    await this.stage.client.removeCluster(this.clusterId);
    await this.proxy.close();
  }
}

/**
 * What an instance answers, as soon as it does. The engine's proxy takes connections before an app listens and may keep such
 * a one for ever.
 */
export async function answerOf(port: number, path = "/"): Promise<string> {
  let text = "";
  await eventually(async () => {
    const url = `http://127.0.0.1:${String(port)}${path}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
    if (response === null) return false;
    text = await response.text();
    return true;
  });
  return text;
}

/** Reads to the end. */
export async function drain(items: AsyncIterable<unknown>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  while ((await iterator.next()).done !== true);
}

/** A server on the port, for what must not find it free. */
export async function occupy(port: number): Promise<() => Promise<void>> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return () =>
    new Promise((resolve) =>
      server.close(() => {
        resolve();
      }),
    );
}
