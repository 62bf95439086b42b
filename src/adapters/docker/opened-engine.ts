import type { Clock } from "@dinp/core";
import { endCommands } from "./commands.js";
import type { ContainerDefaults } from "./container-spec.js";
import { Containers } from "./containers.js";
import { Engine } from "./engine.js";
import { followEvents, type ContainerEvent } from "./events.js";
import { Executions } from "./executions.js";
import { Followers } from "./followers.js";
import { ImageStore } from "./image-store.js";
import { numberAt, textAt } from "./json.js";
import { Names } from "./names.js";
import type { DockerRuntimeOptions } from "./options.js";
import { Remover } from "./remover.js";
import { Stops } from "./stops.js";
import { Tools } from "./tools.js";
import { throwIfAborted } from "../runtime/aborting.js";

const ENGINE_TIMEOUT_MS = 60_000;
const IMAGE_TIMEOUT_MS = 15 * 60_000;
const LOG_BYTES_MAX = 10_000_000;
const CLEANINGS_AT_ONCE = 4;
/** An out-of-memory kill this long before an end is taken for its cause. */
const OOM_WINDOW_MS = 2_000;

export interface EngineFacts {
  readonly memoryMb: number;
  readonly cpuMillis: number;
  readonly cgroupVersion: string;
  /** As the engine names it. */
  readonly processor: string;
}

/** A runtime's engine, with all that works on it. */
export interface OpenedEngine {
  readonly engine: Engine;
  readonly facts: EngineFacts;
  readonly defaults: ContainerDefaults;
  readonly containers: Containers;
  readonly images: ImageStore;
  readonly stops: Stops;
  readonly remover: Remover;
  readonly followers: Followers;
  readonly executions: Executions;
  readonly tools: Tools;
  readonly now: () => number;
  readonly wasOutOfMemory: (containerId: string) => boolean;
  /** To be called after the closing signal. */
  readonly close: () => Promise<void>;
}

/** Connects to the engine, cleans what a crash left, and begins to listen. */
export async function openEngine(
  options: DockerRuntimeOptions,
  hooks: {
    readonly signal: AbortSignal | undefined;
    readonly closing: AbortSignal;
    readonly tell: (instanceId: string) => void;
  },
): Promise<OpenedEngine> {
  const { signal, closing, tell } = hooks;
  const address = options.engine ?? { socketPath: "/var/run/docker.sock" };
  const engine = await Engine.open(address, options.engineTimeoutMs ?? ENGINE_TIMEOUT_MS, signal);
  try {
    const { clock, logger } = options;
    const names = new Names(options.clusterId);
    const host = options.nodeAddress ?? "127.0.0.1";
    const facts = factsOf(await engine.ask("GET", "/info", { signal }));
    const tools = new Tools(engine, names, facts.processor);
    const sleep = (ms: number): Promise<void> => clock.sleep(ms, { signal: closing });
    const containers = new Containers({ engine, names, host, sleep });
    const remover = new Remover(engine);
    await cleanUp({ engine, containers, remover }, signal);
    await tools.prepare({ signal });
    const followers = new Followers();
    const outOfMemory = new OutOfMemory(clock);
    const executions = new Executions(engine, closing);
    const images = new ImageStore({
      engine,
      names,
      images: options.images,
      architecture: facts.processor === "aarch64" ? "arm64" : "amd64",
      timeoutMs: options.imageTimeoutMs ?? IMAGE_TIMEOUT_MS,
    });
    const onEvent = ({ action, containerId, instanceId }: ContainerEvent): void => {
      if (action === "oom") outOfMemory.note(containerId);
      if (action === "destroy") followers.tellRemoved(containerId);
      tell(instanceId);
      if (action === "die")
        void containers.untilListedAsEnded(containerId).then(
          () => {
            tell(instanceId);
          },
          () => undefined,
        );
    };
    let known: readonly string[] = [];
    const onGap = async (): Promise<void> => {
      const all = await containers.all(closing);
      followers.tellAllBut(new Set(all.map(({ id }) => id)));
      const ids = all.map(({ instanceId }) => instanceId);
      for (const instanceId of new Set([...known, ...ids])) tell(instanceId);
      known = ids;
      await executions.endLost();
    };
    const listening = followEvents({ engine, names, clock, logger }, { onEvent, onGap }, closing);
    return {
      engine,
      facts,
      containers,
      images,
      remover,
      followers,
      executions,
      tools,
      stops: new Stops({ engine, containers, clock, closing }),
      defaults: {
        names,
        nodeAddress: host,
        network: options.network ?? "bridge",
        logBytesMax: options.logLimits?.maxBytes ?? LOG_BYTES_MAX,
        tools: tools.volume,
        cpuMillisMax: facts.cpuMillis,
      },
      now: () => clock.now(),
      wasOutOfMemory: (containerId) => outOfMemory.isRecent(containerId),
      close: async () => {
        await images.close();
        await executions.close();
        await listening;
        engine.close();
      },
    };
  } catch (error) {
    engine.close();
    throw error;
  }
}

function factsOf(info: unknown): EngineFacts {
  return {
    memoryMb: Math.floor(numberAt(info, "MemTotal") / 1024 ** 2),
    cpuMillis: numberAt(info, "NCPU") * 1000,
    cgroupVersion: textAt(info, "CgroupVersion") || "1",
    processor: textAt(info, "Architecture"),
  };
}

/** Ends and removes what a crash left: one-offs, commands beside instances, what was created and never started. */
async function cleanUp(
  context: { readonly engine: Engine; readonly containers: Containers; readonly remover: Remover },
  signal: AbortSignal | undefined,
): Promise<void> {
  const { engine, containers, remover } = context;
  for (const kind of ["one-off", "tools"])
    for (const id of await containers.others(kind, signal)) await remover.remove(id);
  const rest = [...(await containers.all(signal))];
  const work = async (): Promise<void> => {
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
      throwIfAborted(signal);
      const { id, state } = next;
      // What failed to start is an instance that has ended.
      const isHalfMade = state === "created" && (await containers.view(next, signal)) === null;
      if (isHalfMade || state === "dead") await remover.remove(id);
      // An engine that was restarted does not know whether there are any.
      if (state === "running") await endCommands(engine, id, "*");
    }
  };
  await Promise.all(Array.from({ length: CLEANINGS_AT_ONCE }, work));
}

/** When the kernel last ended a process of a container for its memory. */
class OutOfMemory {
  readonly #at = new Map<string, number>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(containerId: string): void {
    const now = this.#clock.monotonicMs();
    for (const [id, at] of this.#at) if (now - at > OOM_WINDOW_MS) this.#at.delete(id);
    this.#at.set(containerId, now);
  }

  isRecent(containerId: string): boolean {
    return (
      this.#clock.monotonicMs() - (this.#at.get(containerId) ?? Number.NEGATIVE_INFINITY) < OOM_WINDOW_MS
    );
  }
}
