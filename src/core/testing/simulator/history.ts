import type { App, InstanceId, NodeId, Revision } from "../../model/records.js";
import { ClusterIndex, type ClusterView, viewKinds } from "../../plan/cluster-view.js";
import type { InstanceSpec } from "../../ports/runtime.js";
import type {
  CommitOptions,
  RecordChange,
  Snapshot,
  StateStore,
  WatchEvent,
  Write,
} from "../../ports/state-store.js";
import type { Kind } from "../../model/kinds.js";
import { CommitRules } from "./commit-rules.js";
import type { Outside } from "./outside.js";
import type { World } from "./sim-process.js";

/** After so long without a whole and followed read, a process knows nothing of the present. */
const BLIND_MS = 5_000;

/** How many old pictures of the store there are, for replicas that lag. */
const PICTURES_MAX = 5;

type Past = { readonly at: number; readonly app: App | null };

/** The true course of things, which no process sees: every commit, start and stop, checked as it happens. */
export class History {
  readonly store: StateStore;
  readonly #world: World;
  readonly #present = new ClusterIndex();
  readonly #events: AsyncIterator<WatchEvent>;
  readonly #apps = new Map<string, Past[]>();
  readonly #forgotten = new Set<InstanceId>();
  /** A commit of unknown outcome is tried again as it was. */
  readonly #intended = new WeakSet<readonly Write[]>();
  readonly #starts = new Map<InstanceId, NodeId>();
  readonly #committedTo = new Map<InstanceId, NodeId>();
  readonly #bound = new Set<string>();
  readonly #outside: Outside;
  readonly #rules: CommitRules;
  readonly #pictures: Snapshot[] = [];
  #lastCommit: Promise<unknown> = Promise.resolve();
  #changedAt = 0;

  constructor(world: World, store: StateStore, outside: Outside) {
    this.#world = world;
    this.store = store;
    this.#outside = outside;
    const { scheduler, journal } = world;
    this.#rules = new CommitRules({ scheduler, journal, present: this.#present, outside });
    const { signal } = new AbortController();
    this.#events = store.watch({ after: 0, signal })[Symbol.asyncIterator]();
  }

  get now(): number {
    return this.#world.scheduler.now;
  }

  /** When the last commit changed something. */
  get changedAt(): number {
    return this.#changedAt;
  }

  /** What is true now. */
  get present(): ClusterView {
    return this.#present;
  }

  /** Every value that the app of this name had since `since`, the one at that time included; null: there was none. */
  appSince(name: string, since: number): readonly (App | null)[] {
    const past = this.#apps.get(name) ?? [];
    const last = past.findLastIndex(({ at }) => at <= since);
    return [...(last === -1 ? [null] : []), ...past.slice(Math.max(0, last)).map(({ app }) => app)];
  }

  /** The domain was there at some time. Each has a name of its own. */
  wasBound(key: string): boolean {
    return this.#bound.has(key);
  }

  /** A process sets out to commit. `blindSince`: when it last had a whole and followed view; null: it has one. */
  noteIntent(process: string, writes: readonly Write[], isFenced: boolean, blindSince: number | null): void {
    if (!isFenced || this.#intended.has(writes)) return;
    this.#intended.add(writes);
    if (blindSince === null || this.now - blindSince < BLIND_MS) return;
    const stop = writes.find((write) => isDestructive(write));
    if (stop === undefined) return;
    const seconds = ((this.now - blindSince) / 1000).toFixed(0);
    this.#world.journal.violate(
      "no-stop-from-an-unfresh-read",
      `${process} wants to ${stop.op} a ${stop.kind}, and has not followed the store for ${seconds} s`,
    );
  }

  /** Commits one after the other, so that what is written down is in the order of the revisions. */
  commit(
    process: string,
    writes: readonly Write[],
    options: Omit<CommitOptions, "signal">,
  ): Promise<{ readonly revision: Revision }> {
    const committed = this.#lastCommit.then(async () => {
      const result = await this.store.commit(writes, options);
      while (this.#present.revision < result.revision) await this.#record(process);
      return result;
    });
    this.#lastCommit = committed.catch(() => undefined);
    return committed;
  }

  /** Keeps a picture of the present for replicas that lag. */
  async takePicture(): Promise<void> {
    this.#pictures.push(await this.store.snapshot({ kinds: viewKinds }));
    if (this.#pictures.length > PICTURES_MAX) this.#pictures.shift();
  }

  /** What a replica that lags shows; null when none does yet. */
  oldPicture(kinds: readonly Kind[] | undefined): Snapshot | null {
    const picture = this.#pictures[0];
    if (picture === undefined || kinds === undefined) return null;
    return { ...picture, records: picture.records.filter(({ kind }) => kinds.includes(kind)) };
  }

  noteStart(spec: InstanceSpec, nodeId: NodeId, host: string): void {
    const before = this.#starts.get(spec.instanceId);
    this.#world.journal.note(
      `${nodeId} starts ${spec.instanceId} of ${spec.appName} on port ${String(spec.port)}`,
    );
    this.#world.journal.count("instance started");
    const reported = this.#present.get("instanceStatus", spec.instanceId)?.phase ?? "starting";
    const isUnheardOf = this.#forgotten.has(spec.instanceId) && reported === "starting";
    if (before !== undefined && !isUnheardOf) {
      this.#world.journal.violate(
        "an-instance-id-runs-once",
        `${spec.instanceId} of ${spec.appName} was started on ${before}, and now again on ${nodeId}`,
      );
    }
    this.#starts.set(spec.instanceId, nodeId);
    const committedTo = this.#committedTo.get(spec.instanceId) ?? "no node";
    if (committedTo !== nodeId) {
      const message = `${spec.instanceId} is started on ${nodeId}, and was committed to ${committedTo}`;
      this.#world.journal.violate("an-instance-id-runs-once", message);
    }
    const other = this.#outside.soughtAt(host, spec.port).find((each) => each.instanceId !== spec.instanceId);
    if (other === undefined) return;
    this.#world.journal.violate(
      "a-port-waits-for-all-routers",
      `${nodeId} starts ${spec.instanceId} on port ${String(spec.port)}, where ${other.router} looks for ${other.instanceId}`,
    );
  }

  /** A node has lost all trace of an instance. Unless it was reported to run, it may be started as if it never had. */
  noteForgotten(instanceId: InstanceId): void {
    this.#forgotten.add(instanceId);
  }

  /** Only a committed word ends what has served: or it was never ready. */
  noteStop(instanceId: InstanceId, nodeId: NodeId): void {
    this.#world.journal.count("instance stopped");
    const placement = this.#present.get("placement", instanceId);
    const status = this.#present.get("instanceStatus", instanceId);
    if (placement?.desired === "stopped" || status?.readyAt == null) return;
    this.#world.journal.violate(
      placement?.desired === "draining" ? "a-drain-precedes-the-stop" : "no-stop-from-an-unfresh-read",
      `${nodeId} stops ${instanceId}, whose placement is ${placement?.desired ?? "gone"}`,
    );
  }

  async #record(process: string): Promise<void> {
    const next = await this.#events.next();
    if (next.done === true || next.value.type !== "commit")
      throw new TypeError("The simulated store lost its own changes.");
    const event = next.value;
    this.#changedAt = this.now;
    const types = event.changes.flatMap(({ kind, value }) =>
      kind === "event" && value !== null ? [value.type] : [],
    );
    this.#world.journal.note(
      `${process} commits ${String(event.revision)}: ${types.join(" ") || "a report"}`,
    );
    for (const type of types) this.#world.journal.count(`event ${type}`);
    this.#rules.check(event.changes, types);
    for (const change of event.changes) this.#remember(change);
    this.#present.apply(event.revision, event.changes);
  }

  #remember({ kind, key, value }: RecordChange): void {
    if (kind === "placement" && value !== null) this.#committedTo.set(key, value.nodeId);
    if (kind === "domain" && value !== null) this.#bound.add(key);
    if (kind !== "app") return;
    const app = value ?? this.#present.get("app", key);
    if (app !== undefined) this.#rememberApp(app.name, this.#holderOf(app.name, key, value));
  }

  /** Who has the name now that the app of this id is `value`: the one that is not deleted, else the last that was. */
  #holderOf(name: string, id: string, value: App | null): App | null {
    const others = [...this.#present.all("app")].filter((app) => app.name === name && app.id !== id);
    const all = value === null ? others : [...others, value];
    const deleted = (app: App): number => app.deletedAt ?? Infinity;
    return all.reduce<App | null>(
      (last, app) => (last === null || deleted(app) >= deleted(last) ? app : last),
      null,
    );
  }

  #rememberApp(name: string, app: App | null): void {
    const past = this.#apps.get(name) ?? [];
    past.push({ at: this.now, app });
    if (past.length > 400) past.splice(0, 200);
    this.#apps.set(name, past);
  }
}

function isDestructive(write: Write): boolean {
  if (write.op === "delete")
    return ["placement", "instanceStatus", "app", "release", "domain"].includes(write.kind);
  return write.op === "put" && write.kind === "placement" && write.value.desired !== "running";
}
