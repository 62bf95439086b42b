export type { ConformanceCase, SuiteOptions } from "./conformance.js";
export {
  type ControlLinkHarness,
  controlLinkSuite,
  type ControlLinkSuiteOptions,
  type ControlLinkSupports,
} from "./control-link-suite.js";
export type { ForwarderSuiteOptions, ForwarderUnderTest, ForwardPlan } from "./forwarder-stage.js";
export { forwarderSuite } from "./forwarder-suite.js";
export { type ProberSuiteOptions, proberSuite } from "./prober-suite.js";
export type { RegistrySuiteOptions, RegistryUnderTest } from "./registry-harness.js";
export { registrySuite } from "./registry-suite.js";
export {
  type RouteTableHarness,
  routeTableSuite,
  type RouteTableSuiteOptions,
  type RouteTableSupports,
} from "./route-table-suite.js";
export {
  type RuntimeHarness,
  runtimeSuite,
  type RuntimeSuiteOptions,
  type RuntimeSupports,
} from "./runtime-suite.js";
export {
  type InvariantName,
  invariantNames,
  simulate,
  type SimulationBackends,
  type SimulationOptions,
  type SimulationReport,
  type Violation,
} from "./simulator/index.js";
export {
  type StateStoreFactory,
  type StateStoreHarness,
  stateStoreSuite,
  type StateStoreSuiteOptions,
  type StateStoreSupports,
} from "./state-store-suite.js";
