import { DinpError, type ImageRef, type InstanceExit, type RuntimeInstance } from "@dinp/core";
import { EXIT_TAIL_CHARACTERS, EXIT_TAIL_LINES } from "../runtime/log-tail.js";
import type { Engine } from "./engine.js";
import { isRefusal } from "./engine-refusal.js";
import { exitOf, isPortTaken, portTakenExit } from "./exit-info.js";
import type { InitLine } from "./init-lines.js";
import { readLog } from "./instance-log.js";
import { flagAt, listAt, numberAt, textAt, textMapAt, textsAt } from "./json.js";
import { labels, parseImageText, type Names } from "./names.js";

const EXITS_AT_ONCE = 8;
/** An engine may learn of an end before it learns that memory was its cause. */
const OOM_WAITS_MS = [50, 200, 500];
/** How long an end may be told of before a list shows it: the waits in between. */
const LISTED_WAITS_MS = [5, 20, 50, 100, 200, 500, 1_000, 2_000];

/** An instance's container, as a list or an inspection shows it. */
export interface InstanceContainer {
  readonly id: string;
  readonly instanceId: string;
  /** The engine's word: `created`, `running`, `paused`, `restarting`, `removing`, `exited`, `dead`. */
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The cluster's instances as the engine has them; what it says is asked anew each time, but ends, which stay as they are. */
export class Containers {
  readonly #engine: Engine;
  readonly #names: Names;
  readonly #host: string;
  readonly #exits = new Map<string, InstanceExit>();
  /** Containers that this runtime ends. */
  readonly #stopped = new Set<string>();
  readonly #sleep: (ms: number) => Promise<void>;

  constructor(options: {
    readonly engine: Engine;
    readonly names: Names;
    readonly host: string;
    readonly sleep: (ms: number) => Promise<void>;
  }) {
    this.#engine = options.engine;
    this.#names = options.names;
    this.#host = options.host;
    this.#sleep = options.sleep;
  }

  /** All containers of the cluster's own instances, whatever their state. */
  async all(signal?: AbortSignal): Promise<readonly InstanceContainer[]> {
    const listed = await this.#list("instance", signal);
    return listed.flatMap((item) => {
      const marks = textMapAt(item, "Labels");
      const instanceId = marks[labels.instance] ?? "";
      // A name is given once; a copy of our labels is not ours.
      if (!textsAt(item, "Names").includes(`/${this.#names.container(instanceId)}`)) return [];
      return [{ id: textAt(item, "Id"), instanceId, state: textAt(item, "State"), labels: marks }];
    });
  }

  /** The images of the cluster's containers of all kinds. */
  async images(): Promise<readonly ImageRef[]> {
    const kinds = await Promise.all(["instance", "one-off"].map((kind) => this.#list(kind, undefined)));
    return kinds.flat().flatMap((item) => parseImageText(textAt(item, "Labels", labels.image)) ?? []);
  }

  /** The ids of the cluster's containers of a kind that is not `instance`. */
  async others(kind: string, signal?: AbortSignal): Promise<readonly string[]> {
    return (await this.#list(kind, signal)).map((item) => textAt(item, "Id"));
  }

  async #list(kind: string, signal: AbortSignal | undefined): Promise<readonly unknown[]> {
    const marks = [`${labels.cluster}=${this.#names.clusterId}`, `${labels.kind}=${kind}`];
    const query = { all: "true", filters: JSON.stringify({ label: marks }) };
    return listAt(await this.#engine.ask("GET", "/containers/json", { query, signal }));
  }

  /** The instance's container; null when there is none. One of this name that is not the cluster's is `DINP_CONFLICT`. */
  async find(instanceId: string, signal?: AbortSignal): Promise<InstanceContainer | null> {
    const found = await this.#look(instanceId, signal);
    if (found === null || found.isOwn) return found;
    throw new DinpError(
      "DINP_CONFLICT",
      `The engine has a container named ${this.#names.container(instanceId)} that is not this platform's.`,
      { hint: "Remove or rename it." },
    );
  }

  /** As {@link find}, but what is not the cluster's is as if it were not there. */
  async findOwn(instanceId: string, signal?: AbortSignal): Promise<InstanceContainer | null> {
    const found = await this.#look(instanceId, signal);
    return found?.isOwn === true ? found : null;
  }

  async #look(
    instanceId: string,
    signal: AbortSignal | undefined,
  ): Promise<(InstanceContainer & { readonly isOwn: boolean }) | null> {
    try {
      const name = this.#names.container(instanceId);
      const found = await this.#engine.ask("GET", `/containers/${encodeURIComponent(name)}/json`, { signal });
      const marks = textMapAt(found, "Config", "Labels");
      return {
        id: textAt(found, "Id"),
        instanceId,
        state: textAt(found, "State", "Status"),
        labels: marks,
        // The engine also finds by the beginning of an id.
        isOwn:
          textAt(found, "Name") === `/${name}` &&
          marks[labels.cluster] === this.#names.clusterId &&
          marks[labels.kind] === "instance" &&
          marks[labels.instance] === instanceId,
      };
    } catch (error) {
      if (isRefusal(error, 404)) return null;
      throw error;
    }
  }

  /** An engine tells of an end a moment before its lists show it. Bounded. */
  async untilListedAsEnded(containerId: string): Promise<void> {
    for (const ms of LISTED_WAITS_MS) {
      const filters = JSON.stringify({ id: [containerId], status: ["running"] });
      const query = { all: "true", filters };
      if (listAt(await this.#engine.ask("GET", "/containers/json", { query })).length === 0) return;
      await this.#sleep(ms);
    }
  }

  /** How it ends is the platform's doing from now on. */
  noteStop(containerId: string): void {
    this.#stopped.add(containerId);
  }

  isStopping(containerId: string): boolean {
    return this.#stopped.has(containerId);
  }

  /** The instances that these containers are, by instance id; what was never started, or goes away, is none. */
  async views(
    containers: readonly InstanceContainer[],
    signal?: AbortSignal,
  ): Promise<readonly RuntimeInstance[]> {
    const views: RuntimeInstance[] = [];
    const rest = [...containers];
    const work = async (): Promise<void> => {
      for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
        const view = await this.view(next, signal);
        if (view !== null) views.push(view);
      }
    };
    await Promise.all(Array.from({ length: EXITS_AT_ONCE }, work));
    return views.sort((a, b) => (a.instanceId < b.instanceId ? -1 : 1));
  }

  /** Forgets what is known of containers but these. */
  keepOnly(containers: readonly InstanceContainer[]): void {
    const ids = new Set(containers.map(({ id }) => id));
    for (const id of [...this.#exits.keys()]) if (!ids.has(id)) this.#exits.delete(id);
    for (const id of [...this.#stopped]) if (!ids.has(id)) this.#stopped.delete(id);
  }

  /** Null for one that was never started or is being removed. */
  async view(container: InstanceContainer, signal?: AbortSignal): Promise<RuntimeInstance | null> {
    const { instanceId, labels: marks, state } = container;
    const base = {
      instanceId,
      appId: marks[labels.app] ?? "",
      releaseId: marks[labels.release] ?? "",
      host: this.#host,
      port: Number(marks[labels.port]),
      startedAt: Number(marks[labels.startedAt]),
    };
    if (state === "running" || state === "paused") return { ...base, state: "running", exit: null };
    try {
      if (state === "created") {
        const exit = await this.#failure(container, signal);
        return exit === null ? null : { ...base, state: "exited", exit };
      }
      const exit = await this.#exit(container, signal);
      if (exit === null) return { ...base, state: "running", exit: null };
      return { ...base, state: "exited", exit };
    } catch (error) {
      if (isRefusal(error, 404)) return null;
      throw error;
    }
  }

  /** Why a container that was created could not be started, when it will not be; else null. */
  async #failure(
    { id, labels: marks }: InstanceContainer,
    signal?: AbortSignal,
  ): Promise<InstanceExit | null> {
    const known = this.#exits.get(id);
    if (known !== undefined) return known;
    const found = await this.#engine.ask("GET", `/containers/${id}/json`, { signal });
    if (!isPortTaken(textAt(found, "State", "Error"))) return null;
    const exit = portTakenExit(Number(marks[labels.startedAt]), this.#host, Number(marks[labels.port]));
    this.#exits.set(id, exit);
    return exit;
  }

  /** Null when it runs after all. */
  async #exit(container: InstanceContainer, signal: AbortSignal | undefined): Promise<InstanceExit | null> {
    const { id, labels: marks } = container;
    const known = this.#exits.get(id);
    if (known !== undefined) return known;
    const path = `/containers/${id}`;
    let found = await this.#engine.ask("GET", `${path}/json`, { signal });
    if (flagAt(found, "State", "Running")) return null;
    const { lines, last } = await this.#tail(container, signal);
    if (mayBeOutOfMemory(found, last) && !this.#stopped.has(id))
      found = await this.#untilOutOfMemory(path, found);
    const startedAt = Date.parse(textAt(found, "State", "StartedAt"));
    const at = Date.parse(textAt(found, "State", "FinishedAt"));
    const exit = exitOf({
      at,
      ranMs: at - startedAt,
      engineCode: numberAt(found, "State", "ExitCode"),
      line: last,
      outOfMemory: flagAt(found, "State", "OOMKilled"),
      memoryMb: Number(marks[labels.memoryMb]),
      stopped: this.#stopped.has(id),
      program: textsAt(found, "Config", "Cmd")[0] ?? "",
      problem: marks[labels.problem] ?? null,
      logTail: lines,
    });
    this.#exits.set(id, exit);
    return exit;
  }

  async #untilOutOfMemory(path: string, found: unknown): Promise<unknown> {
    let latest = found;
    for (const ms of OOM_WAITS_MS) {
      if (flagAt(latest, "State", "OOMKilled")) return latest;
      await this.#sleep(ms);
      latest = await this.#engine.ask("GET", `${path}/json`);
    }
    return latest;
  }

  async #tail(
    container: InstanceContainer,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly lines: readonly string[]; readonly last: InitLine | null }> {
    let last: InitLine | null = null;
    const lines: string[] = [];
    const options = { tail: EXIT_TAIL_LINES, follow: false, signal };
    const onInit = (line: InitLine): void => {
      last = line;
    };
    for await (const text of readLog(this.#engine, container, options, onInit))
      lines.push(text.slice(0, EXIT_TAIL_CHARACTERS));
    return { lines: lines.slice(-EXIT_TAIL_LINES), last };
  }
}

function mayBeOutOfMemory(found: unknown, last: InitLine | null): boolean {
  if (last?.type === "ended") return last.end.signal === "SIGKILL" && !last.end.asked;
  return last === null && numberAt(found, "State", "ExitCode") === 137;
}
