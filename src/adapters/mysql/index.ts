export type { PoolOptions } from "../sql/index.js";
export { createMysqlStateStore, type MysqlStateStoreOptions } from "./mysql-state-store.js";
