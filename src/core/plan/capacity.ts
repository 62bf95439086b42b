import type { Node, NodeId, Release } from "../model/records.js";
import type { ClusterView } from "./cluster-view.js";
import type { NodeHealth } from "./node-health.js";

interface NodeLoad {
  readonly node: Node;
  readonly health: NodeHealth;
  memoryMb: number;
  cpuMillis: number;
  instances: number;
  readonly perApp: Map<string, number>;
}

/** Where an instance fits, or why it fits nowhere. */
export type Fit =
  | { readonly node: Node; readonly why: string }
  | { readonly node: null; readonly code: "no-node" | "no-capacity"; readonly why: string };

const NODES_NAMED_MAX = 3;

/**
 * What is reserved on every node. A placement holds its release's memory and processor share from the moment it is
 * planned until its instance has ended.
 */
export class CapacityLedger {
  readonly #loads = new Map<NodeId, NodeLoad>();

  constructor(view: ClusterView, health: ReadonlyMap<NodeId, NodeHealth>) {
    for (const node of view.all("node")) {
      this.#loads.set(node.id, {
        node,
        health: health.get(node.id) ?? "silent",
        memoryMb: 0,
        cpuMillis: 0,
        instances: 0,
        perApp: new Map(),
      });
    }
    for (const placement of view.all("placement")) {
      if (view.get("instanceStatus", placement.instanceId)?.phase === "exited") continue;
      const release = view.get("release", placement.releaseId);
      if (release !== undefined) this.reserve(placement.nodeId, release);
    }
  }

  /** How many instances the node holds in all. */
  instancesOn(nodeId: NodeId): number {
    return this.#loads.get(nodeId)?.instances ?? 0;
  }

  reserve(nodeId: NodeId, release: Release): void {
    const load = this.#loads.get(nodeId);
    if (load === undefined) return;
    load.memoryMb += release.memoryMb;
    load.cpuMillis += release.cpuMillis;
    load.instances += 1;
    load.perApp.set(release.appId, (load.perApp.get(release.appId) ?? 0) + 1);
  }

  /**
   * The node for one more instance: with fewest instances of the app (spread), then most free memory in proportion,
   * then by id.
   */
  fit(release: Release): Fit {
    let best: NodeLoad | null = null;
    const obstacles: string[] = [];
    let full = false;
    for (const load of this.#loads.values()) {
      const obstacle = obstacleOf(load, release);
      if (obstacle === null) {
        if (best === null || isBetter(load, best, release.appId)) best = load;
      } else {
        full ||= obstacle.capacity;
        if (obstacles.length < NODES_NAMED_MAX) obstacles.push(`${load.node.id}: ${obstacle.why}`);
      }
    }
    if (best !== null) {
      const own = best.perApp.get(release.appId) ?? 0;
      return {
        node: best.node,
        why: `node ${best.node.id} has ${String(own)} of this app's instances and room`,
      };
    }
    if (this.#loads.size === 0) return { node: null, code: "no-node", why: "no node has registered" };
    const rest = this.#loads.size - obstacles.length;
    const more = rest > 0 ? `; and ${String(rest)} more` : "";
    return {
      node: null,
      code: full ? "no-capacity" : "no-node",
      why: `no node can take it (${obstacles.join("; ")}${more})`,
    };
  }
}

function isBetter(a: NodeLoad, b: NodeLoad, appId: string): boolean {
  const ownA = a.perApp.get(appId) ?? 0;
  const ownB = b.perApp.get(appId) ?? 0;
  if (ownA !== ownB) return ownA < ownB;
  const freeA = 1 - a.memoryMb / Math.max(1, a.node.memoryMb);
  const freeB = 1 - b.memoryMb / Math.max(1, b.node.memoryMb);
  if (freeA !== freeB) return freeA > freeB;
  return a.node.id < b.node.id;
}

function obstacleOf(
  load: NodeLoad,
  release: Release,
): { readonly why: string; readonly capacity: boolean } | null {
  const { node } = load;
  if (load.health !== "live") return { why: "has not reported lately", capacity: false };
  if (node.cordoned) return { why: "is cordoned", capacity: false };
  const programs = node.programs;
  const missing = programs === null ? [] : release.requires.filter((name) => !programs.includes(name));
  if (missing.length > 0) return { why: `has no ${missing.join(", ")}`, capacity: false };
  const freeMb = node.memoryMb - load.memoryMb;
  if (freeMb < release.memoryMb) {
    return { why: `${String(freeMb)} of ${String(release.memoryMb)} MB memory free`, capacity: true };
  }
  const freeMillis = node.cpuMillis - load.cpuMillis;
  if (freeMillis < release.cpuMillis) {
    return { why: `${String(freeMillis)} of ${String(release.cpuMillis)} cpu millis free`, capacity: true };
  }
  return null;
}
