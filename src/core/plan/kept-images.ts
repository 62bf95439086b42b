import type { ImageRef, NodeId, Release } from "../model/records.js";
import type { ClusterView } from "./cluster-view.js";

/** Of each app: an older release than these is fetched again when somebody goes back to it. */
const KEPT_RELEASES = 10;

/**
 * The images that a node is to keep for its apps: of everything placed there, of each such app's current release, and of its
 * newest ten, in no particular order, each once. Null when a placement's release is not known: then nothing is known to be
 * of no use.
 */
export function keptImages(view: ClusterView, nodeId: NodeId): readonly ImageRef[] | null {
  const kept = new Map<string, ImageRef>();
  const keep = ({ image }: Release): void => {
    kept.set(`${image.repository}@${image.digest}`, image);
  };
  const apps = new Set<string>();
  for (const placement of view.onNode(nodeId)) {
    const release = view.get("release", placement.releaseId);
    if (release === undefined) return null;
    keep(release);
    apps.add(placement.appId);
  }
  for (const appId of apps) {
    const current = view.get("release", view.get("app", appId)?.currentRelease ?? "");
    if (current !== undefined) keep(current);
    const newest = [...view.of("release", appId)].sort((a, b) => b.number - a.number);
    newest.slice(0, KEPT_RELEASES).forEach(keep);
  }
  return [...kept.values()];
}
