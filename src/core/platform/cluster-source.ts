import { DinpError } from "../model/errors.js";
import type { App, NodeId, Release } from "../model/records.js";
import type { AgentExecRequest, AgentRunRequest } from "../ports/control-link.js";
import type { RouteTableVersion } from "../ports/route-table.js";
import type { ExecEvent } from "../ports/runtime.js";
import type { PlanView } from "./plan-views.js";

/** A command beside an instance of that node. */
export interface NodeExecRequest extends AgentExecRequest {
  readonly nodeId: NodeId;
}

/** `leaving`: out of the published table, and some router has not acknowledged it yet. */
export type RoutingState = "routed" | "leaving" | "unrouted";

/** Whether a node's agent is connected, and when it was last heard of by this leader. */
export interface NodeLink {
  readonly connected: boolean;
  readonly seenAt: number | null;
}

/** How far a router is with the route table. */
export interface RouterProgress {
  /** The newest table that it acknowledged; null when it has none. */
  readonly acknowledged: RouteTableVersion | null;
  /** Revisions between that and the present table; null when they cannot be compared. */
  readonly behind: number | null;
  /** Instances that are off its table with a request in flight. */
  readonly busy: number;
  /** Instances out of the present table whose ports wait for it. */
  readonly holdsUp: number;
}

/** What the platform asks of the leading server: it knows the nodes and the plan. A `Server` is one. */
export interface ClusterSource {
  exec(request: NodeExecRequest): AsyncIterable<ExecEvent>;
  /** On a node of its choice. `DINP_BUSY` when none has room. */
  runOnce(request: AgentRunRequest): AsyncIterable<ExecEvent>;
  /** What it is about to do, or would be if the hypothesis were committed. Writes nothing. */
  plan(hypothesis: { readonly app: App; readonly release: Release } | null): PlanView;
  nextStartAt(appId: string): number | null;
  routing(instanceId: string): RoutingState | null;
  /** How the leader stands with a node; null when this server does not lead. */
  nodeLink(nodeId: NodeId): NodeLink | null;
  /** How far a router is; null when this server does not lead, or has not heard the routers yet. */
  routerProgress(routerId: string): RouterProgress | null;
}

/** Stands in for a leading server where there is none. */
export const noCluster: ClusterSource = Object.freeze({
  exec: refuse,
  runOnce: refuse,
  plan: refuse,
  nextStartAt: () => null,
  routing: () => null,
  nodeLink: () => null,
  routerProgress: () => null,
});

function refuse(): never {
  throw new DinpError("DINP_UNAVAILABLE", "This platform has no server that leads.", { retryable: true });
}
