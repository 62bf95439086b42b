export { createMemoryRouteTable, type MemoryRouteTableOptions } from "./memory-route-table.js";
export { createMemoryStateStore, type MemoryStateStoreOptions } from "./memory-state-store.js";
