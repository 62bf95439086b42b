export { createMemoryRegistry, type MemoryRegistryOptions } from "./memory-registry.js";
export { createMemoryRouteTable, type MemoryRouteTableOptions } from "./memory-route-table.js";
export { createMemoryStateStore, type MemoryStateStoreOptions } from "./memory-state-store.js";
