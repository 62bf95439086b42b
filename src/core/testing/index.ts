export type { ConformanceCase } from "./conformance.js";
export {
  type ForwarderSuiteOptions,
  type ForwarderUnderTest,
  type ForwardPlan,
  forwarderSuite,
} from "./forwarder-suite.js";
export { type ProberSuiteOptions, proberSuite } from "./prober-suite.js";
export { type RegistrySuiteOptions, type RegistryUnderTest, registrySuite } from "./registry-suite.js";
export { type RouteTableHarness, routeTableSuite } from "./route-table-suite.js";
export { type RuntimeHarness, runtimeSuite } from "./runtime-suite.js";
export { type StateStoreFactory, type StateStoreHarness, stateStoreSuite } from "./state-store-suite.js";
