export type { PoolOptions } from "../sql/index.js";
export { createPostgresStateStore, type PostgresStateStoreOptions } from "./postgres-state-store.js";
