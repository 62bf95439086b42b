import { rawSql, sql, type SqlDialect, type Statement } from "../sql/index.js";

export type Flavor = "mysql" | "mariadb";

/**
 * Columns that are compared byte by byte, spaces at the end included: most collations of MySQL leave those out, also
 * `ascii_bin`. In MySQL only one of four bytes per character does not, so that names are to be short for the keys to fit
 * into InnoDB's 3,072 bytes.
 */
const keys: Readonly<Record<Flavor, string>> = {
  mysql: "CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin",
  mariadb: "CHARACTER SET ascii COLLATE ascii_nopad_bin",
};

const now = rawSql("UTC_TIMESTAMP(6)");

/** What MySQL and MariaDB say their own way. */
export function mysqlDialect(flavor: Flavor): SqlDialect {
  return Object.freeze({
    types: Object.freeze({
      name: `varchar(64) ${keys[flavor]}`,
      key: `varchar(255) ${keys[flavor]}`,
      // Not json, which MySQL orders and rounds anew.
      json: "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
      // Not timestamp, which ends in 2038 and follows the session's time zone.
      time: "datetime(6)",
    }),
    tableOptions: " ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
    schemaName: rawSql("DATABASE()"),
    nextRevision: Object.freeze([
      sql`UPDATE dinp_counter SET revision = revision + 1 WHERE id = 1`,
      sql`SELECT revision FROM dinp_counter WHERE id = 1`,
    ]),
    announcement: null,
    now,
    inMs: (ms: number): Statement => sql`TIMESTAMPADD(MICROSECOND, ${1_000 * ms}, ${now})`,
  });
}
