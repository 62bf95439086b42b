export { Agent, type AgentOptions } from "./agent.js";
export type { FencedPlace } from "./fenced.js";
export { HealthMonitor, type HealthMonitorOptions, type HealthMonitorState } from "./health-monitor.js";
export { InstancePorts, type InstancePortsOptions, type PortRange } from "./instance-ports.js";
export type { ServerAddress } from "./leader-address.js";
export * from "./route-follower.js";
export { Server, type ServerOptions } from "./server.js";
export { startPlatform, type RunningPlatform, type StartPlatformOptions } from "./start-platform.js";
export { StateFollower, type ViewListener } from "./state-follower.js";
