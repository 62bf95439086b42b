export type { ConformanceCase } from "./conformance.js";
export { routeTableSuite, type RouteTableHarness } from "./route-table-suite.js";
export { stateStoreSuite, type StateStoreFactory, type StateStoreHarness } from "./state-store-suite.js";
