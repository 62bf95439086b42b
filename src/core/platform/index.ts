export { appState, countReady, type AppFacts } from "./app-state.js";
export type { BaseRequest } from "./bases.js";
export type { BuildRequest, BuildSettings } from "./builds.js";
export type {
  ClusterSource,
  NodeExecRequest,
  NodeLink,
  RouterProgress,
  RoutingState,
} from "./cluster-source.js";
export type { ExecutionOptions } from "./executions.js";
export type { JoinTokenRequest } from "./node-access.js";
export { createNodeGate, type NodeGateOptions } from "./node-gate.js";
export * from "./plan-views.js";
export type { Caller, LogSource, PlatformOptions, ReadOptions, WriteOptions } from "./context.js";
export { createPlatform, type Platform } from "./platform.js";
export type { RegistryRequest } from "./registries.js";
export * from "./requests.js";
export { trimAnswers, trimBuilds, trimEvents, trimReleases } from "./tidy.js";
export type { RouterOperations } from "./router-operations.js";
export type { ForgetRouterRequest, RouterRequest } from "./routers.js";
export type { TemplateView } from "./template-views.js";
export type { NewToken } from "./tokens.js";
export * from "./views.js";
