import assert from "node:assert/strict";
import { connect } from "node:net";
import type { ImageRef } from "../model/records.js";
import type { InstanceSpec, Runtime, RuntimeInstance, RunSpec } from "../ports/runtime.js";
import { eventually, within } from "./conformance.js";
import { programs, type SelfPortrait } from "./runtime-programs.js";
import { Watchman } from "./runtime-watchman.js";

/** The longest that one question to an instance may take. */
const ANSWER_MS_MAX = 2_000;

/**
 * What the suite needs of the runtime under test; one is made for each case. Programs are those of an image: all that
 * the suite asks of the place where they run is `node`, and a way back to {@link hostAddress}.
 */
export interface RuntimeHarness {
  /** Opened, without instances. */
  readonly runtime: Runtime;
  /** Another runtime over the same backing that nobody has opened; the case closes it. */
  unopened(): Runtime;
  /** Makes an image of these files (path below the app's folder → text) that `prepareImage` can fetch and that `node` can run in. */
  makeImage(files: Readonly<Record<string, string>>): Promise<ImageRef>;
  /** A port that nothing listens on, another one at each call. */
  freePort(): Promise<number>;
  /** Where an instance's programs reach a server of this process; it listens there, or on all addresses unless it is of 127.0.0.0/8. */
  readonly hostAddress: string;
  /** Closes the runtime and opens a new one over what it left behind. */
  reopen(): Promise<Runtime>;
  /** Changes the bytes of an image that is not prepared yet where `prepareImage` fetches it. Null where the suite is told so. */
  readonly damage: ((image: ImageRef) => Promise<void>) | null;
  /** Opens a runtime of another cluster on the same node, for the same images. Null where the suite is told so. */
  readonly foreign: (() => Promise<Runtime>) | null;
  /** Keeps the runtime from telling what there is until the returned function is called. Null where the suite is told so. */
  readonly outage: (() => Promise<() => Promise<void>>) | null;
  /** Removes every instance and file, whatever the runtime says. */
  dispose(): Promise<void>;
}

/** What only some runtimes can be asked to show. */
export interface RuntimeSupports {
  /** The harness can damage an image. */
  readonly damage: boolean;
  /** The harness can open a runtime of another cluster on the same node. */
  readonly foreign: boolean;
  /** The harness can keep the runtime from telling what there is. */
  readonly outage: boolean;
}

export interface RuntimeCase {
  readonly name: string;
  readonly requires?: keyof RuntimeSupports;
  readonly stays?: string;
  readonly body: (bench: RuntimeBench) => Promise<void>;
}

export function runtimeCase(
  name: string,
  body: (bench: RuntimeBench) => Promise<void>,
  more: Partial<RuntimeCase> = {},
): RuntimeCase {
  return { name, body, ...more };
}

/** One case's harness with an image of the suite's programs, which is prepared. */
export class RuntimeBench {
  readonly harness: RuntimeHarness;
  readonly image: ImageRef;
  readonly #hosts = new Map<string, string>();
  readonly #watchmen: Watchman[] = [];
  #reopened: Runtime | null = null;
  #count = 0;

  private constructor(harness: RuntimeHarness, image: ImageRef) {
    this.harness = harness;
    this.image = image;
  }

  static async make(harness: RuntimeHarness): Promise<RuntimeBench> {
    const image = await harness.makeImage(programs);
    await within(harness.runtime.prepareImage(image), "an image");
    return new RuntimeBench(harness, image);
  }

  get runtime(): Runtime {
    return this.#reopened ?? this.harness.runtime;
  }

  async reopen(): Promise<void> {
    this.#reopened = await within(this.harness.reopen(), "a new run over what was left");
  }

  async watchman(): Promise<Watchman> {
    const watchman = await Watchman.make(this.harness);
    this.#watchmen.push(watchman);
    return watchman;
  }

  /** Lets go of what the case itself held. */
  async close(): Promise<void> {
    await Promise.all(this.#watchmen.map((watchman) => watchman.close()));
  }

  /** A specification that starts the suite's server, with an id and a port of its own. */
  async spec(parts: Partial<InstanceSpec> = {}): Promise<InstanceSpec> {
    this.#count += 1;
    return {
      instanceId: `i-${String(this.#count)}`,
      appId: "app-1",
      appName: "hello",
      releaseId: "release-1",
      image: this.image,
      command: ["node", "server.js"],
      env: {},
      memoryMb: 256,
      cpuMillis: 1_000,
      port: await this.harness.freePort(),
      ...parts,
    };
  }

  async start(spec: InstanceSpec): Promise<RuntimeInstance> {
    const instance = await within(this.runtime.start(spec), `the start of ${spec.instanceId}`);
    this.#hosts.set(spec.instanceId, instance.host);
    return instance;
  }

  /** Starts a server and waits until it answers. */
  async started(parts: Partial<InstanceSpec> = {}): Promise<InstanceSpec> {
    const spec = await this.spec(parts);
    await this.start(spec);
    await this.answer(spec);
    return spec;
  }

  async stop(spec: InstanceSpec, graceMs: number): Promise<void> {
    await within(this.runtime.stop(spec.instanceId, { graceMs }), `the end of ${spec.instanceId}`);
  }

  async remove(spec: InstanceSpec): Promise<void> {
    await within(this.runtime.remove(spec.instanceId), `the removal of ${spec.instanceId}`);
  }

  list(): Promise<readonly RuntimeInstance[]> {
    return within(this.runtime.list(), "the list of instances");
  }

  /** What the server says of itself, as soon as it answers. */
  async answer(spec: InstanceSpec): Promise<SelfPortrait> {
    let body: unknown = null;
    await eventually(async () => {
      body = await this.ask(spec, "/");
      return body !== null;
    }, `an answer of ${spec.instanceId}`);
    return body as SelfPortrait;
  }

  /** The server's answer, null when there is none. */
  async ask(spec: InstanceSpec, path: string): Promise<unknown> {
    const url = `http://${this.#hostOf(spec)}:${String(spec.port)}${path}`;
    // Something between may have taken a connection that the server was not there for yet.
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) }).catch(() => null);
    return response?.ok === true ? await response.json().catch(() => null) : null;
  }

  /** Fails when anything listens on the instance's port. */
  async expectSilence(spec: InstanceSpec): Promise<void> {
    const socket = connect({ host: this.#hostOf(spec), port: spec.port });
    const connected = new Promise<boolean>((resolve) => {
      socket.once("connect", () => {
        resolve(true);
      });
      socket.once("error", () => {
        resolve(false);
      });
    });
    try {
      const isConnected = await within(connected, `a word from the port of ${spec.instanceId}`);
      assert.equal(isConnected, false, `Something listens on the port of ${spec.instanceId}.`);
    } finally {
      socket.destroy();
    }
  }

  async untilExited({ instanceId }: InstanceSpec): Promise<RuntimeInstance> {
    let found: RuntimeInstance | undefined;
    await eventually(async () => {
      found = (await this.list()).find((instance) => instance.instanceId === instanceId);
      return found?.state === "exited";
    }, `${instanceId} to be listed as exited`);
    assert.ok(found !== undefined);
    return found;
  }

  #hostOf({ instanceId }: InstanceSpec): string {
    return this.#hosts.get(instanceId) ?? "127.0.0.1";
  }
}

/** A one-off of the same release. */
export function runSpecOf(spec: InstanceSpec): RunSpec {
  const { appId, appName, releaseId, image, command, env, secretNames = [], memoryMb, cpuMillis } = spec;
  const instanceId = `once-${spec.instanceId}`;
  return { instanceId, appId, appName, releaseId, image, command, env, secretNames, memoryMb, cpuMillis };
}

export function never(): AbortSignal {
  return new AbortController().signal;
}

/** Reads to the end. */
export async function drain(items: AsyncIterable<unknown>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  while ((await within(iterator.next(), "the end of a stream")).done !== true);
}
