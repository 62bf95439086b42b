import type { RecordTypes } from "../model/kinds.js";
import type { App, Release, Revision } from "../model/records.js";
import type { ClusterView, OwnedKind, ViewKind } from "./cluster-view.js";

type Own = { readonly [K in ViewKind]?: { readonly key: string; readonly value: RecordTypes[K] } };

/** What would be if these records were committed now. */
export interface PlanHypothesis {
  readonly app: App;
  readonly release: Release;
}

/** A view as it would be with the hypothesis; the view itself stays as it is. */
export function overlayView(base: ClusterView, { app, release }: PlanHypothesis): ClusterView {
  const own: Own = { app: { key: app.id, value: app }, release: { key: release.id, value: release } };
  function* all<K extends ViewKind>(kind: K): Iterable<RecordTypes[K]> {
    const mine = own[kind];
    const replaced = mine === undefined ? undefined : base.get(kind, mine.key);
    for (const value of base.all(kind)) if (replaced === undefined || value !== replaced) yield value;
    if (mine !== undefined) yield mine.value;
  }
  function* of<K extends OwnedKind>(kind: K, appId: string): Iterable<RecordTypes[K]> {
    yield* base.of(kind, appId);
    const mine = own[kind];
    if (mine?.value.appId === appId && base.get(kind, mine.key) === undefined) yield mine.value;
  }
  return {
    revision: base.revision,
    get: (kind, key) => {
      const mine = own[kind];
      return mine?.key === key ? mine.value : base.get(kind, key);
    },
    all,
    count: (kind) => {
      const mine = own[kind];
      return base.count(kind) + (mine !== undefined && base.get(kind, mine.key) === undefined ? 1 : 0);
    },
    of,
    owners: (kind) => (kind === "release" ? new Set([...base.owners(kind), app.id]) : base.owners(kind)),
    // The release is new: nothing is placed of it yet, so no load changes.
    onNode: (nodeId) => base.onNode(nodeId),
    loadOf: (nodeId) => base.loadOf(nodeId),
    revisionOf: (kind, key): Revision => base.revisionOf(kind, key),
  };
}
