export type { PgliteDurability } from "./durability.js";
export { createPgliteStateStore, type PgliteStateStoreOptions } from "./pglite-state-store.js";
