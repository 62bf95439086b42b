import { setTimeout as delay } from "node:timers/promises";
import { messageOf, type Logger, type NodeGate, type NodeId } from "@dinp/core";

const PAUSE_MS = 500;

/** Tells of each node that is revoked, until the signal aborts; a store that does not answer is asked again. Never rejects. */
export async function followRevocations(
  gate: NodeGate,
  logger: Logger,
  signal: AbortSignal,
  onRevoked: (nodeId: NodeId) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const nodeId of gate.watchRevoked({ signal })) onRevoked(nodeId);
    } catch (error) {
      if (!isAborted(signal))
        logger.warn("revoked nodes cannot be told at once just now", { error: messageOf(error) });
    }
    await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Asks anew: between two awaits the answer may change, which a narrowed property would hide. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
