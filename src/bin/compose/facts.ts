import type { FencedPlace, HealthMonitorOptions, NodeId, PortRange, ServerAddress } from "@dinp/core";

/** What all programs of a cluster agree on, and tell their users. */
export interface ClusterFacts {
  readonly id: string;
  /** Apps answer at `NAME.<appsDomain>`. Lower case. */
  readonly appsDomain: string;
  /** Where apps are reached, such as `http://127.0.0.1:8080`. */
  readonly routerUrl: string;
  /** Of the program. */
  readonly version: string;
}

export interface ServerFacts {
  /** Another one for each start of each server. */
  readonly holder: string;
  readonly leaseTtlMs: number;
  /** Where this server answers the others and the agents; asked when it begins to lead. */
  readonly announced: () => ServerAddress;
  /** Told of each write of this server that was refused because another one leads. */
  readonly onFenced?: (place: FencedPlace) => void;
}

export interface NodeFacts {
  readonly nodeId: NodeId;
  /** Where routers and the agent reach the instances. */
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: PortRange;
  /** Told of each message of a server that was refused because a newer leader was heard of before. */
  readonly onFenced?: () => void;
}

/** What an outside health monitor is told of itself. */
export type MonitorFacts = Pick<
  HealthMonitorOptions,
  "monitorId" | "holder" | "concurrency" | "leaseTtlMs" | "onProbe"
>;
