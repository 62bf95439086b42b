import { createHash } from "node:crypto";
import { DinpError, type NodeGate } from "@dinp/core";

/** A gate that lets in whoever has the join token, or a key that it was told of by such. */
export function openGate(joinToken: string): NodeGate {
  const keys = new Map<string, string>();
  return {
    admit: ({ nodeId, secret, newKeyHash }) => {
      if (secret === joinToken && newKeyHash !== null) keys.set(nodeId, newKeyHash);
      const keyHash = newKeyHash ?? createHash("sha256").update(secret).digest("hex");
      if (keys.get(nodeId) === keyHash) return Promise.resolve({ nodeId, keyHash });
      return Promise.reject(new DinpError("DINP_UNAUTHENTICATED", "The key is not valid."));
    },
    rotate: ({ nodeId }, keyHash) => {
      keys.set(nodeId, keyHash);
      return Promise.resolve({ nodeId, keyHash });
    },
    async *watchRevoked({ signal }) {
      if (signal.aborted) return;
      await new Promise((resolve) => {
        signal.addEventListener("abort", resolve, { once: true });
      });
      yield* [];
    },
  };
}
