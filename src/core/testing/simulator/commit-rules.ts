import type { App, InstanceId, InstanceStatus, Placement, Release } from "../../model/records.js";
import type { ClusterView } from "../../plan/cluster-view.js";
import type { RecordChange } from "../../ports/state-store.js";
import type { InvariantName, Journal } from "./journal.js";
import type { Outside } from "./outside.js";
import type { Scheduler } from "./scheduler.js";
import { CLOCK_SKEW_MS_MAX } from "./sim-process.js";

/** How far two processes' clocks may be apart. */
const CLOCKS_APART_MS_MAX = 2 * CLOCK_SKEW_MS_MAX;

/** What a user's operation may change of an app, by the event that is committed with it. */
const changedBy: Readonly<Record<string, readonly (keyof App)[]>> = {
  "app.scaled": ["instances"],
  "app.started": ["desired"],
  "app.stopped": ["desired"],
  "app.deleted": ["deletedAt"],
  "release.created": ["currentRelease"],
};

const appFields = [
  "name",
  "teamId",
  "desired",
  "instances",
  "currentRelease",
  "createdAt",
  "deletedAt",
] as const satisfies readonly (keyof App)[];

const order = ["running", "draining", "stopped"];

/** What a commit may do to what was acknowledged and to what runs: judged by what was true before it. */
export class CommitRules {
  readonly #scheduler: Scheduler;
  readonly #journal: Journal;
  readonly #present: ClusterView;
  readonly #outside: Outside;
  readonly #drainingSince = new Map<InstanceId, number>();
  readonly #notes = new Set<string>();

  constructor(options: {
    readonly scheduler: Scheduler;
    readonly journal: Journal;
    /** The state before the commit that is checked. */
    readonly present: ClusterView;
    readonly outside: Outside;
  }) {
    this.#scheduler = options.scheduler;
    this.#journal = options.journal;
    this.#present = options.present;
    this.#outside = options.outside;
  }

  /** `types`: of the events that were committed with the changes. */
  check(changes: readonly RecordChange[], types: readonly string[]): void {
    const retired: Placement[] = [];
    for (const { kind, key, value } of changes) {
      if (kind === "app") this.#checkApp(this.#present.get("app", key), value, types);
      else if (kind === "release") this.#checkRelease(this.#present.get("release", key), value, types);
      else if (kind === "domain" && value === null) this.#checkLostDomain(key, types);
      else if (kind === "placement" && value !== null) {
        const before = this.#present.get("placement", key);
        this.#checkMove(before, value);
        if (before?.desired === "running" && value.desired !== "running") retired.push(before);
      }
    }
    if (retired.length > 0) this.#checkMinimum(retired);
  }

  /** A commit changes of an app what its operation names, and nothing else. */
  #checkApp(before: App | undefined, after: App | null, types: readonly string[]): void {
    if (before === undefined) return;
    if (after === null) {
      if (before.deletedAt === null)
        this.#lose(`the app ${before.name} was removed, and nobody had deleted it`);
      return;
    }
    const allowed = new Set(types.flatMap((type) => changedBy[type] ?? []));
    for (const field of appFields) {
      if (before[field] === after[field] || allowed.has(field)) continue;
      const change = `${String(before[field])} became ${String(after[field])}`;
      this.#lose(`${types.join(" ")} changed ${field} of ${after.name}: ${change}`);
    }
  }

  /** Releases are made once per wish and never change; they go with their app. */
  #checkRelease(before: Release | undefined, after: Release | null, types: readonly string[]): void {
    if (after === null) {
      if (before === undefined || types.includes("app.removed")) return;
      this.#lose(`the release ${String(before.number)} of ${before.appId} was removed, and its app was not`);
    } else if (before !== undefined) {
      this.#lose(`the release ${String(before.number)} of ${before.appId} was written again`);
    } else if (after.note.startsWith("wish ")) {
      if (this.#notes.has(after.note))
        this.#lose(`"${after.note}" made a second release, ${String(after.number)}`);
      this.#notes.add(after.note);
    }
  }

  #checkLostDomain(key: string, types: readonly string[]): void {
    if (this.#present.get("domain", key) === undefined) return;
    if (["domain.removed", "app.deleted", "app.removed"].some((type) => types.includes(type))) return;
    this.#lose(`${types.join(" ") || "a commit"} took the domain ${key} away`);
  }

  /** Placements move forward only, and what has served is drained before it is stopped. */
  #checkMove(before: Placement | undefined, after: Placement): void {
    if (before === undefined || before.desired === after.desired) return;
    const { instanceId } = after;
    if (order.indexOf(after.desired) < order.indexOf(before.desired)) {
      this.#lose(`the placement of ${instanceId} went from ${before.desired} back to ${after.desired}`);
    }
    if (after.desired === "draining") this.#drainingSince.set(instanceId, this.#scheduler.now);
    if (after.desired !== "stopped") return;
    this.#checkDrain(before);
    this.#drainingSince.delete(instanceId);
  }

  #checkDrain({ instanceId, releaseId }: Placement): void {
    const served = this.#present.get("instanceStatus", instanceId)?.readyAt != null;
    if (!served || !this.#outside.isRunning(instanceId)) return;
    const since = this.#drainingSince.get(instanceId);
    const drainMs = this.#present.get("release", releaseId)?.drainMs ?? 0;
    const drainedMs = since === undefined ? 0 : this.#scheduler.now - since;
    if (drainedMs >= drainMs - CLOCKS_APART_MS_MAX) return;
    const [user] = this.#outside.usersOf(instanceId);
    if (user === undefined) return;
    const seconds = (drainedMs / 1000).toFixed(1);
    this.#violate(
      "a-drain-precedes-the-stop",
      `${instanceId} is to stop after ${seconds} s of ${String(drainMs / 1000)} s, and ${user.router} ${user.why}`,
    );
  }

  #checkMinimum(retired: readonly Placement[]): void {
    const [first] = retired;
    const app = first === undefined ? undefined : this.#present.get("app", first.appId);
    if (app === undefined || app.deletedAt !== null || app.desired === "stopped") return;
    const gone = new Set(retired.map((placement) => placement.instanceId));
    const ready = [...this.#present.of("placement", app.id)].filter(
      (placement) =>
        placement.desired === "running" &&
        isReady(this.#present.get("instanceStatus", placement.instanceId)) &&
        this.#outside.mayHaveAnswered(placement.instanceId),
    );
    const left = ready.filter(({ instanceId }) => !gone.has(instanceId)).length;
    if (left === ready.length || left >= app.instances) return;
    const numbers = `${String(ready.length - left)} of ${String(ready.length)} ready instances are retired`;
    this.#violate("an-app-keeps-its-minimum", `${app.name}: ${numbers}, ${String(app.instances)} are wanted`);
  }

  #lose(message: string): void {
    this.#violate("acknowledged-writes-are-kept", message);
  }

  #violate(invariant: InvariantName, message: string): void {
    this.#journal.violate(invariant, message);
  }
}

function isReady(status: InstanceStatus | undefined): boolean {
  return status?.phase === "running" && status.ready;
}
