import type { AppId, Node, NodeId, Release } from "../model/records.js";
import { type ClusterView, reservedRelease } from "./cluster-view.js";
import type { NodeHealth } from "./node-health.js";
import { NO_ROOM, NodeTree } from "./node-tree.js";

/** Where an instance fits, or why it fits nowhere. */
export type Fit =
  | { readonly node: Node; readonly why: string }
  | { readonly node: null; readonly code: MisfitCode; readonly why: string };

/** Nodes that could run it are full, or none could. */
export type MisfitCode = "no-capacity" | "no-node";

type Misfit = Extract<Fit, { readonly node: null }>;

const NODES_NAMED_MAX = 3;

/**
 * What every node can still take: what the view says is reserved, and what the plan in hand adds. It is kept from plan
 * to plan: {@link CapacityLedger.refresh} takes over what changed, {@link CapacityLedger.undo} takes back what a plan
 * reserved, since that counts from when the view shows it.
 */
export class CapacityLedger {
  readonly #view: ClusterView;
  readonly #places: ReadonlyMap<NodeId, number>;
  readonly #nodes: readonly NodeId[];
  readonly #tree: NodeTree;
  #health: ReadonlyMap<NodeId, NodeHealth>;
  /** What this plan reserved besides the view's loads. */
  readonly #added = new Map<NodeId, { memoryMb: number; cpuMillis: number; instances: number }>();
  readonly #ownOfApp = new Map<AppId, Map<NodeId, number>>();
  /** By what was asked for: a full cluster refuses many for the same reason. */
  readonly #misfits = new Map<string, Misfit>();

  constructor(view: ClusterView, health: ReadonlyMap<NodeId, NodeHealth>) {
    this.#view = view;
    this.#health = health;
    this.#nodes = [...view.all("node")].map((node) => node.id).sort();
    this.#places = new Map(this.#nodes.map((id, place) => [id, place]));
    this.#tree = new NodeTree(this.#nodes.length);
    for (const id of this.#nodes) this.#update(id);
  }

  /** True while it knows exactly the view's nodes among the given ones. */
  covers(nodes: Iterable<NodeId>): boolean {
    for (const id of nodes) {
      if (this.#places.has(id) !== (this.#view.get("node", id) !== undefined)) return false;
    }
    return true;
  }

  /** Takes over what the view and the health now say of the nodes. */
  refresh(nodes: Iterable<NodeId>, health: ReadonlyMap<NodeId, NodeHealth>): void {
    this.#health = health;
    for (const id of nodes) this.#update(id);
  }

  /** How many instances the node holds in all. */
  instancesOn(nodeId: NodeId): number {
    return this.#view.loadOf(nodeId).instances + (this.#added.get(nodeId)?.instances ?? 0);
  }

  reserve(nodeId: NodeId, release: Release): void {
    const own = this.#ownOf(release.appId);
    own.set(nodeId, (own.get(nodeId) ?? 0) + 1);
    const added = this.#added.get(nodeId) ?? { memoryMb: 0, cpuMillis: 0, instances: 0 };
    added.memoryMb += release.memoryMb;
    added.cpuMillis += release.cpuMillis;
    added.instances += 1;
    this.#added.set(nodeId, added);
    this.#update(nodeId);
  }

  /** Takes back all that was reserved here. */
  undo(): void {
    const nodes = [...this.#added.keys()];
    this.#added.clear();
    this.#ownOfApp.clear();
    for (const id of nodes) this.#update(id);
  }

  /** True when the node could take one more instance of the release now. */
  couldTake(nodeId: NodeId, release: Release): boolean {
    const place = this.#places.get(nodeId);
    if (place === undefined || !this.#tree.hasRoom(place, release.memoryMb, release.cpuMillis)) return false;
    return this.#missingPrograms(nodeId, release).length === 0;
  }

  /**
   * The node for one more instance: with fewest instances of the app (spread), then most free memory in proportion,
   * then by id.
   */
  fit(release: Release): Fit {
    const own = this.#ownOf(release.appId);
    const id = this.#fitOnOther(release, own) ?? this.#fitOnOwn(release, own);
    const node = id === null ? undefined : this.#view.get("node", id);
    if (node === undefined) return this.#misfit(release);
    const count = String(own.get(node.id) ?? 0);
    return { node, why: `node ${node.id} has ${count} of this app's instances and room` };
  }

  /** Why the release fits on no node, for one that does not. */
  misfitCode(release: Release): MisfitCode {
    return this.#misfit(release).code;
  }

  #fitOnOther(release: Release, own: ReadonlyMap<NodeId, number>): NodeId | null {
    if (own.size >= this.#nodes.length) return null;
    const place = this.#tree.find(release.memoryMb, release.cpuMillis, (candidate) => {
      const id = this.#nodes[candidate];
      return id !== undefined && !own.has(id) && this.#missingPrograms(id, release).length === 0;
    });
    return this.#nodes[place] ?? null;
  }

  #fitOnOwn(release: Release, own: ReadonlyMap<NodeId, number>): NodeId | null {
    let best: { readonly id: NodeId; readonly count: number; readonly ratio: number } | null = null;
    for (const [id, count] of own) {
      const place = this.#places.get(id);
      if (place === undefined || (best !== null && count > best.count)) continue;
      const ratio = this.#tree.ratioOf(place);
      if (best !== null && count === best.count) {
        if (ratio < best.ratio || (ratio === best.ratio && id > best.id)) continue;
      }
      if (this.couldTake(id, release)) best = { id, count, ratio };
    }
    return best?.id ?? null;
  }

  #ownOf(appId: AppId): Map<NodeId, number> {
    const known = this.#ownOfApp.get(appId);
    if (known !== undefined) return known;
    const own = new Map<NodeId, number>();
    for (const placement of this.#view.of("placement", appId)) {
      if (reservedRelease(this.#view, placement) === undefined) continue;
      own.set(placement.nodeId, (own.get(placement.nodeId) ?? 0) + 1);
    }
    this.#ownOfApp.set(appId, own);
    return own;
  }

  #update(id: NodeId): void {
    this.#misfits.clear();
    const place = this.#places.get(id);
    if (place === undefined) return;
    const node = this.#view.get("node", id);
    if (node === undefined || node.cordoned || this.#health.get(id) !== "live" || this.#hasNoPort(node)) {
      this.#tree.set(place, NO_ROOM);
      return;
    }
    const { memoryMb, cpuMillis } = this.#free(node);
    this.#tree.set(place, { ratio: memoryMb / Math.max(1, node.memoryMb), memoryMb, cpuMillis });
  }

  #free(node: Node): { readonly memoryMb: number; readonly cpuMillis: number } {
    const load = this.#view.loadOf(node.id);
    const added = this.#added.get(node.id);
    return {
      memoryMb: node.memoryMb - load.memoryMb - (added?.memoryMb ?? 0),
      cpuMillis: node.cpuMillis - load.cpuMillis - (added?.cpuMillis ?? 0),
    };
  }

  /** Each instance needs a port of its own. */
  #hasNoPort({ id, instancesMax }: Node): boolean {
    return instancesMax !== undefined && this.instancesOn(id) >= instancesMax;
  }

  #missingPrograms(id: NodeId, release: Release): readonly string[] {
    const programs = this.#view.get("node", id)?.programs ?? null;
    return programs === null ? [] : release.requires.filter((name) => !programs.includes(name));
  }

  #misfit(release: Release): Misfit {
    const key = JSON.stringify([release.memoryMb, release.cpuMillis, release.requires]);
    const known = this.#misfits.get(key) ?? this.#explain(release);
    this.#misfits.set(key, known);
    return known;
  }

  #explain(release: Release): Misfit {
    if (this.#nodes.length === 0) return { node: null, code: "no-node", why: "no node has registered" };
    const obstacles: string[] = [];
    let full = false;
    for (const id of this.#nodes) {
      const obstacle = this.#obstacle(id, release);
      full ||= obstacle.capacity;
      if (obstacles.length < NODES_NAMED_MAX) obstacles.push(`${id}: ${obstacle.why}`);
      else if (full) break;
    }
    const rest = this.#nodes.length - obstacles.length;
    const more = rest > 0 ? `; and ${String(rest)} more` : "";
    return {
      node: null,
      code: full ? "no-capacity" : "no-node",
      why: `no node can take it (${obstacles.join("; ")}${more})`,
    };
  }

  #obstacle(id: NodeId, release: Release): { readonly why: string; readonly capacity: boolean } {
    const node = this.#view.get("node", id);
    if (node === undefined || this.#health.get(id) !== "live") {
      return { why: "has not reported lately", capacity: false };
    }
    if (node.cordoned) return { why: "is cordoned", capacity: false };
    const missing = this.#missingPrograms(id, release);
    if (missing.length > 0) return { why: `has no ${missing.join(", ")}`, capacity: false };
    if (this.#hasNoPort(node)) {
      const ports = String(node.instancesMax);
      return { why: `has ${ports} ports for instances, all of which are taken`, capacity: true };
    }
    const { memoryMb, cpuMillis } = this.#free(node);
    if (memoryMb < release.memoryMb) {
      return {
        why: `${String(memoryMb)} MB of memory free, ${String(release.memoryMb)} needed`,
        capacity: true,
      };
    }
    return {
      why: `${String(cpuMillis / 1000)} processors free, ${String(release.cpuMillis / 1000)} needed`,
      capacity: true,
    };
  }
}
