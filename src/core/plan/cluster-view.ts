import type { Kind, RecordTypes } from "../model/kinds.js";
import { routerRegistrationsKey } from "../model/router-registrations.js";
import type { AppId, InstanceId, NodeId, Placement, Release, Revision } from "../model/records.js";
import type { RecordChange, Snapshot } from "../ports/state-store.js";

/** The kinds that planning and routing look at. */
export const viewKinds = Object.freeze([
  "app",
  "release",
  "placement",
  "instanceStatus",
  "node",
  "domain",
  "rollout",
  "crash",
  "router",
  "withdrawal",
  "setting",
] as const satisfies readonly Kind[]);

export type ViewKind = (typeof viewKinds)[number];

/** The kinds of which an app owns many. */
export type OwnedKind = "release" | "placement" | "instanceStatus" | "domain" | "rollout" | "withdrawal";

/**
 * What is reserved on a node: a placement whose release is known holds that release's memory and processor share until
 * its instance has ended.
 */
export interface NodeLoad {
  readonly memoryMb: number;
  readonly cpuMillis: number;
  readonly instances: number;
}

/** Whom a commit may have something to do with: the owners of its records, before and after, and changed nodes and loads. */
export interface Touched {
  readonly apps: ReadonlySet<AppId>;
  readonly nodes: ReadonlySet<NodeId>;
  /** A router was registered or forgotten: what waits for all routers may wait for others now. */
  readonly routers: boolean;
}

interface Touching extends Touched {
  readonly apps: Set<AppId>;
  readonly nodes: Set<NodeId>;
  routers: boolean;
}

/** A read-only, indexed picture of the cluster at one revision of the store. */
export interface ClusterView {
  readonly revision: Revision;
  get<K extends ViewKind>(kind: K, key: string): RecordTypes[K] | undefined;
  all<K extends ViewKind>(kind: K): Iterable<RecordTypes[K]>;
  count(kind: ViewKind): number;
  /** Records of an app, in no particular order. */
  of<K extends OwnedKind>(kind: K, appId: string): Iterable<RecordTypes[K]>;
  /** The apps, known or not, that own a record of the kind. */
  owners(kind: OwnedKind): Iterable<AppId>;
  /** The placements on a node, in no particular order. */
  onNode(nodeId: NodeId): Iterable<Placement>;
  loadOf(nodeId: NodeId): NodeLoad;
  /** The revision that last wrote the record; 0 when it is not known to exist. */
  revisionOf(kind: ViewKind, key: string): Revision;
}

interface Entry<K extends ViewKind> {
  readonly value: RecordTypes[K];
  readonly revision: Revision;
}

/** Records by the value that they share. */
class Groups<T> {
  readonly #groups = new Map<string, Set<T>>();

  add(name: string, record: T): void {
    const group = this.#groups.get(name);
    if (group === undefined) this.#groups.set(name, new Set([record]));
    else group.add(record);
  }

  remove(name: string, record: T): void {
    const group = this.#groups.get(name);
    group?.delete(record);
    if (group?.size === 0) this.#groups.delete(name);
  }

  names(): Iterable<string> {
    return this.#groups.keys();
  }

  of(name: string): Iterable<T> {
    return this.#groups.get(name) ?? [];
  }
}

class Table<K extends ViewKind> {
  readonly entries = new Map<string, Entry<K>>();
  readonly byApp = new Groups<RecordTypes[K]>();
  readonly appOf: (value: RecordTypes[K]) => AppId | null;

  constructor(appOf: (value: RecordTypes[K]) => AppId | null) {
    this.appOf = appOf;
  }

  put(key: string, value: RecordTypes[K], revision: Revision): void {
    this.remove(key);
    this.entries.set(key, { value, revision });
    const app = this.appOf(value);
    if (app !== null) this.byApp.add(app, value);
  }

  remove(key: string): void {
    const old = this.entries.get(key);
    if (old === undefined) return;
    this.entries.delete(key);
    const app = this.appOf(old.value);
    if (app !== null) this.byApp.remove(app, old.value);
  }
}

type Tables = { readonly [K in ViewKind]: Table<K> };

function newTables(): Tables {
  return {
    app: new Table<"app">(() => null),
    release: new Table<"release">((release) => release.appId),
    placement: new Table<"placement">((placement) => placement.appId),
    instanceStatus: new Table<"instanceStatus">((status) => status.appId),
    node: new Table<"node">(() => null),
    domain: new Table<"domain">((domain) => domain.appId),
    rollout: new Table<"rollout">((rollout) => rollout.appId),
    crash: new Table<"crash">(() => null),
    router: new Table<"router">(() => null),
    withdrawal: new Table<"withdrawal">((withdrawal) => withdrawal.appId),
    setting: new Table<"setting">(() => null),
  };
}

type ViewRecord<K extends ViewKind = ViewKind> = {
  readonly [P in K]: { readonly kind: P; readonly key: string; readonly value: RecordTypes[P] };
}[K];

function isViewKind(kind: Kind): kind is ViewKind {
  return (viewKinds as readonly Kind[]).includes(kind);
}

type ViewChange = { readonly [K in ViewKind]: RecordChange & { readonly kind: K } }[ViewKind];

function isViewChange(change: RecordChange): change is ViewChange {
  return isViewKind(change.kind);
}

function isViewRecord(record: {
  readonly kind: Kind;
  readonly key: string;
  readonly value: unknown;
}): record is ViewRecord {
  return isViewKind(record.kind) && record.value !== null;
}

interface Load {
  memoryMb: number;
  cpuMillis: number;
  instances: number;
}

const NO_LOAD: NodeLoad = Object.freeze({ memoryMb: 0, cpuMillis: 0, instances: 0 });

/** The index behind a {@link ClusterView}: built from a snapshot, kept up by the changes of later commits. */
export class ClusterIndex implements ClusterView {
  #tables: Tables = newTables();
  #byNode = new Groups<Placement>();
  #loads = new Map<NodeId, Load>();
  #revision: Revision = 0;

  get revision(): Revision {
    return this.#revision;
  }

  /** Forgets everything and takes the snapshot's records. */
  reset(snapshot: Snapshot): void {
    this.#tables = newTables();
    this.#byNode = new Groups();
    this.#loads = new Map();
    for (const record of snapshot.records) if (isViewRecord(record)) this.#put(record, record.revision);
    for (const { value } of this.#tables.placement.entries.values()) {
      this.#byNode.add(value.nodeId, value);
      this.#reserve(value, 1);
    }
    this.#revision = snapshot.revision;
  }

  /** Applies one commit. A commit that the view already has changes and touches nothing. */
  apply(revision: Revision, changes: readonly RecordChange[]): Touched {
    const touched: Touching = { apps: new Set(), nodes: new Set(), routers: false };
    if (revision <= this.#revision) return touched;
    for (const change of changes) {
      if (isViewChange(change)) this.#change(change, revision, touched);
    }
    this.#revision = revision;
    return touched;
  }

  #change(change: ViewChange, revision: Revision, touched: Touching): void {
    const affected = this.#reservationsOf(change);
    this.#touch(change, touched);
    for (const placement of affected) this.#reserve(placement, -1, touched.nodes);
    if (change.kind === "placement") this.#regroup(change.key, change.value);
    if (isViewRecord(change)) this.#put(change, revision);
    else this.#tables[change.kind].remove(change.key);
    const placement = change.kind === "placement" ? change.value : null;
    for (const reserved of placement === null ? affected : [placement]) {
      if (this.#tables.placement.entries.get(reserved.instanceId)?.value === reserved) {
        this.#reserve(reserved, 1, touched.nodes);
      }
    }
  }

  #touch({ kind, key, value }: ViewChange, touched: Touching): void {
    if (kind === "app") touched.apps.add(key);
    else if (kind === "node") touched.nodes.add(key);
    else if (kind === "router") touched.routers = true;
    else if (kind === "setting") touched.routers ||= key === routerRegistrationsKey;
    else {
      if (value !== null) touched.apps.add(value.appId);
      const before = this.get(kind, key)?.appId;
      if (before !== undefined) touched.apps.add(before);
    }
  }

  /** The placements whose reservation may depend on the record. */
  #reservationsOf(change: ViewChange): readonly Placement[] {
    switch (change.kind) {
      case "placement":
      case "instanceStatus": {
        const placement = this.get("placement", change.key);
        return placement === undefined ? [] : [placement];
      }
      case "release": {
        const release = change.value ?? this.get("release", change.key);
        if (release === undefined) return [];
        return [...this.of("placement", release.appId)].filter(({ releaseId }) => releaseId === release.id);
      }
      default:
        return [];
    }
  }

  #regroup(key: InstanceId, value: Placement | null): void {
    const before = this.get("placement", key);
    if (before !== undefined) this.#byNode.remove(before.nodeId, before);
    if (value !== null) this.#byNode.add(value.nodeId, value);
  }

  /** Adds (1) or takes away (-1) what the placement holds as the tables are now. */
  #reserve(placement: Placement, sign: 1 | -1, touched?: Set<NodeId>): void {
    const release = reservedRelease(this, placement);
    if (release === undefined) return;
    const { nodeId } = placement;
    let load = this.#loads.get(nodeId);
    if (load === undefined) {
      load = { memoryMb: 0, cpuMillis: 0, instances: 0 };
      this.#loads.set(nodeId, load);
    }
    load.memoryMb += sign * release.memoryMb;
    load.cpuMillis += sign * release.cpuMillis;
    load.instances += sign;
    if (load.instances === 0) this.#loads.delete(nodeId);
    touched?.add(nodeId);
  }

  #put<K extends ViewKind>(record: ViewRecord<K>, revision: Revision): void {
    const table: Tables[K] = this.#tables[record.kind];
    table.put(record.key, record.value, revision);
  }

  get<K extends ViewKind>(kind: K, key: string): RecordTypes[K] | undefined {
    return this.#tables[kind].entries.get(key)?.value;
  }

  *all<K extends ViewKind>(kind: K): Iterable<RecordTypes[K]> {
    for (const entry of this.#tables[kind].entries.values()) yield entry.value;
  }

  count(kind: ViewKind): number {
    return this.#tables[kind].entries.size;
  }

  of<K extends OwnedKind>(kind: K, appId: string): Iterable<RecordTypes[K]> {
    return this.#tables[kind].byApp.of(appId);
  }

  owners(kind: OwnedKind): Iterable<AppId> {
    return this.#tables[kind].byApp.names();
  }

  onNode(nodeId: NodeId): Iterable<Placement> {
    return this.#byNode.of(nodeId);
  }

  loadOf(nodeId: NodeId): NodeLoad {
    return this.#loads.get(nodeId) ?? NO_LOAD;
  }

  revisionOf(kind: ViewKind, key: string): Revision {
    return this.#tables[kind].entries.get(key)?.revision ?? 0;
  }
}

/** The release whose memory and processor share the placement holds; undefined when it holds none. */
export function reservedRelease(view: ClusterView, placement: Placement): Release | undefined {
  if (view.get("instanceStatus", placement.instanceId)?.phase === "exited") return undefined;
  return view.get("release", placement.releaseId);
}
