import type { InstanceId } from "../../model/records.js";

/** A router's word is not asked: what it would do with the next request, and what it is still doing. */
export interface RouterUse {
  readonly router: string;
  readonly why: "routes to it" | "has a request of it in flight";
}

/** The world as it is, whatever any record says of it. */
export interface Outside {
  /** A process of this instance runs on some machine. */
  isRunning(instanceId: InstanceId): boolean;
  /** False when it runs and has not been able to answer anybody yet, and when it ended long ago. */
  mayHaveAnswered(instanceId: InstanceId): boolean;
  /** Routers that are up, or only stopped for a while, and still use the instance. */
  usersOf(instanceId: InstanceId): readonly RouterUse[];
  /** Instances that routers which are up, or only stopped for a while, would look for at this address. */
  soughtAt(
    host: string,
    port: number,
  ): readonly { readonly router: string; readonly instanceId: InstanceId }[];
}
