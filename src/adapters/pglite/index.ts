export type { PgliteDurability } from "./driver.js";
export { createPgliteStateStore, type PgliteStateStoreOptions } from "./pglite-state-store.js";
