export { createPostgresStateStore, type PostgresStateStoreOptions } from "./postgres-state-store.js";
