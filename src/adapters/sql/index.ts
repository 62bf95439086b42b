export {
  SqlRetryError,
  type SqlCallOptions,
  type SqlDatabase,
  type SqlDialect,
  type SqlRow,
  type SqlSession,
} from "./database.js";
export { postgresDialect, postgresText } from "./postgres-dialect.js";
export { SqlStateStore, type SqlStateStoreOptions } from "./sql-state-store.js";
export { rawSql, sql, type SqlValue, type Statement } from "./statement.js";
