import type { Node, NodeCredential, Placement, Release } from "../model/records.js";
import { isOf, withSignal } from "./app-records.js";
import type { PlatformContext, ReadOptions } from "./context.js";
import type { NodeLink } from "./cluster-source.js";
import type { NodeView } from "./views.js";

type LinkView = Pick<NodeView, "connected" | "lastSeenAt" | "joinedAt" | "revokedAt">;

/** Every node with what is reserved on it, by id. */
export async function listNodes(context: PlatformContext, options: ReadOptions): Promise<NodeView[]> {
  const { records } = await context.store.snapshot({
    kinds: ["node", "placement", "release", "nodeCredential"],
    ...withSignal(options),
  });
  const nodes: Node[] = [];
  const placements: Placement[] = [];
  const releases = new Map<string, Release>();
  const credentials = new Map<string, NodeCredential>();
  for (const record of records) {
    if (isOf(record, "node")) nodes.push(record.value);
    else if (isOf(record, "placement")) placements.push(record.value);
    else if (isOf(record, "release")) releases.set(record.key, record.value);
    else if (isOf(record, "nodeCredential")) credentials.set(record.key, record.value);
  }
  const cluster = context.cluster();
  return nodes.map((node) => ({
    ...nodeView(node, placements, releases),
    ...linkView(cluster.nodeLink(node.id), credentials.get(node.id)),
  }));
}

function nodeView(
  node: Node,
  placements: readonly Placement[],
  releases: ReadonlyMap<string, Release>,
): Omit<NodeView, keyof LinkView> {
  const own = placements.filter((placement) => placement.nodeId === node.id);
  const sizes = own.map((placement) => releases.get(placement.releaseId));
  return {
    id: node.id,
    address: node.address,
    memoryMb: node.memoryMb,
    cpuMillis: node.cpuMillis,
    runtime: node.runtime,
    programs: node.programs,
    labels: node.labels,
    cordoned: node.cordoned,
    instances: own.length,
    reservedMemoryMb: sizes.reduce((sum, release) => sum + (release?.memoryMb ?? 0), 0),
    reservedCpuMillis: sizes.reduce((sum, release) => sum + (release?.cpuMillis ?? 0), 0),
  };
}

function linkView(link: NodeLink | null, credential: NodeCredential | undefined): LinkView {
  return {
    connected: link?.connected ?? null,
    lastSeenAt: link?.seenAt ?? null,
    joinedAt: credential?.joinedAt ?? null,
    revokedAt: credential?.revokedAt ?? null,
  };
}
