import { DinpError } from "../model/errors.js";
import type { NodeId } from "../model/records.js";
import type { StateStore } from "../ports/state-store.js";

/** Every node that is revoked, then each that is from now on, until the signal aborts. */
export async function* revokedNodes(
  store: StateStore,
  signal: AbortSignal,
): AsyncGenerator<NodeId, void, undefined> {
  const kinds = ["nodeCredential"] as const;
  while (!signal.aborted) {
    const { revision, records } = await store.snapshot({ kinds, signal });
    for (const record of records)
      if (record.kind === "nodeCredential" && record.value.revokedAt !== null) yield record.key;
    for await (const event of store.watch({ after: revision, kinds, signal })) {
      if (event.type === "reset") break;
      for (const change of event.changes)
        if (change.kind === "nodeCredential" && change.value?.revokedAt != null) yield change.key;
    }
  }
}

export function nodeRevoked(nodeId: NodeId): DinpError {
  return new DinpError("DINP_FORBIDDEN", `The node ${nodeId} was revoked.`, {
    hint: 'To let it in again, make a new join token ("dinp nodes join-token") and give it to the agent.',
  });
}
