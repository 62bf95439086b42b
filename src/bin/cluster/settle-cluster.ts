import { DinpError, type StateStore } from "@dinp/core";
import { settle } from "../host/settle.js";

/** The database is of one cluster from its first use on: `DINP_INVALID` for another. */
export async function settleCluster(store: StateStore, id: string): Promise<void> {
  const settled = await settle(store, "cluster-id", id);
  if (settled === id) return;
  throw new DinpError("DINP_INVALID", `This database is of the cluster ${settled}, and not of ${id}.`, {
    hint: `Set cluster.id to ${settled}, or give the cluster ${id} a database of its own.`,
  });
}
