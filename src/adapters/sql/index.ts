export type { SqlConnection, SqlConnector } from "./connection.js";
export {
  SqlRetryError,
  type Judgement,
  type SqlCallOptions,
  type SqlDatabase,
  type SqlDialect,
  type SqlRow,
  type SqlSession,
} from "./database.js";
export { SqlFailure, errorOf, type SqlFailureKind } from "./failure.js";
export { poolBounds, type PoolBounds, type PoolOptions } from "./pool-bounds.js";
export { PooledDatabase } from "./pooled-database.js";
export { postgresDialect, postgresText } from "./postgres-dialect.js";
export { postgresFailureKind, sqlStateOf } from "./postgres-failure.js";
export { chunks } from "./rows.js";
export { SqlStateStore, type OpeningContext, type SqlStateStoreOptions } from "./sql-state-store.js";
export { rawSql, sql, type SqlValue, type Statement } from "./statement.js";
