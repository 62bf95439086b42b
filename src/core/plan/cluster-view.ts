import type { Kind, RecordTypes } from "../model/kinds.js";
import type { Revision } from "../model/records.js";
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
] as const satisfies readonly Kind[]);

export type ViewKind = (typeof viewKinds)[number];

/** The kinds of which an app owns many. */
export type OwnedKind = "release" | "placement" | "instanceStatus" | "domain" | "rollout";

/** A read-only, indexed picture of the cluster at one revision of the store. */
export interface ClusterView {
  readonly revision: Revision;
  get<K extends ViewKind>(kind: K, key: string): RecordTypes[K] | undefined;
  all<K extends ViewKind>(kind: K): Iterable<RecordTypes[K]>;
  count(kind: ViewKind): number;
  /** Records of an app, in no particular order. */
  of<K extends OwnedKind>(kind: K, appId: string): Iterable<RecordTypes[K]>;
  /** The revision that last wrote the record; 0 when it is not known to exist. */
  revisionOf(kind: ViewKind, key: string): Revision;
}

interface Entry<K extends ViewKind> {
  readonly value: RecordTypes[K];
  readonly revision: Revision;
}

class Table<K extends ViewKind> {
  readonly entries = new Map<string, Entry<K>>();
  readonly #byApp = new Map<string, Map<string, RecordTypes[K]>>();
  readonly #appOf: (value: RecordTypes[K]) => string | null;

  constructor(appOf: (value: RecordTypes[K]) => string | null) {
    this.#appOf = appOf;
  }

  put(key: string, value: RecordTypes[K], revision: Revision): void {
    this.remove(key);
    this.entries.set(key, { value, revision });
    const app = this.#appOf(value);
    if (app === null) return;
    const owned = this.#byApp.get(app);
    if (owned === undefined) this.#byApp.set(app, new Map([[key, value]]));
    else owned.set(key, value);
  }

  remove(key: string): void {
    const old = this.entries.get(key);
    if (old === undefined) return;
    this.entries.delete(key);
    const app = this.#appOf(old.value);
    if (app === null) return;
    const owned = this.#byApp.get(app);
    owned?.delete(key);
    if (owned?.size === 0) this.#byApp.delete(app);
  }

  ofApp(appId: string): Iterable<RecordTypes[K]> {
    return this.#byApp.get(appId)?.values() ?? [];
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
  };
}

type ViewRecord<K extends ViewKind = ViewKind> = {
  readonly [P in K]: { readonly kind: P; readonly key: string; readonly value: RecordTypes[P] };
}[K];

function isViewKind(kind: Kind): kind is ViewKind {
  return (viewKinds as readonly Kind[]).includes(kind);
}

function isViewRecord(record: {
  readonly kind: Kind;
  readonly key: string;
  readonly value: unknown;
}): record is ViewRecord {
  return isViewKind(record.kind) && record.value !== null;
}

/** The index behind a {@link ClusterView}: built from a snapshot, kept up by the changes of later commits. */
export class ClusterIndex implements ClusterView {
  #tables: Tables = newTables();
  #revision: Revision = 0;

  get revision(): Revision {
    return this.#revision;
  }

  /** Forgets everything and takes the snapshot's records. */
  reset(snapshot: Snapshot): void {
    this.#tables = newTables();
    for (const record of snapshot.records) if (isViewRecord(record)) this.#put(record, record.revision);
    this.#revision = snapshot.revision;
  }

  /** Applies one commit. A commit that the view already has changes nothing. */
  apply(revision: Revision, changes: readonly RecordChange[]): void {
    if (revision <= this.#revision) return;
    for (const change of changes) {
      if (isViewRecord(change)) this.#put(change, revision);
      else if (isViewKind(change.kind)) this.#tables[change.kind].remove(change.key);
    }
    this.#revision = revision;
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
    return this.#tables[kind].ofApp(appId);
  }

  revisionOf(kind: ViewKind, key: string): Revision {
    return this.#tables[kind].entries.get(key)?.revision ?? 0;
  }
}
