import { assertStoreKey, type Lease } from "@dinp/core";
import type { SqlDialect, SqlSession } from "./database.js";
import { integerOf } from "./rows.js";
import { sql } from "./statement.js";

export interface LeaseRequest {
  readonly name: string;
  readonly holder: string;
  readonly ttlMs: number;
}

export function assertLeaseRequest({ name, holder, ttlMs }: LeaseRequest): void {
  assertStoreKey(name, "The name of a lease");
  assertStoreKey(holder, "The holder of a lease");
  if (Number.isSafeInteger(ttlMs) && ttlMs > 0) return;
  throw new TypeError(`ttlMs must be a positive whole number; got ${String(ttlMs)}.`);
}

/** Takes or renews the lease within the session's transaction, on the database's clock. */
export async function acquireLease(
  session: SqlSession,
  dialect: SqlDialect,
  request: LeaseRequest,
): Promise<Lease | null> {
  const { name, holder, ttlMs } = request;
  const expiresAt = dialect.inMs(ttlMs);
  const [row] = await session.run(
    sql`SELECT holder, epoch, CASE WHEN expires_at > ${dialect.now} THEN 1 ELSE 0 END AS alive
        FROM dinp_leases WHERE name = ${name} FOR UPDATE`,
  );
  if (row === undefined) {
    await session.run(
      sql`INSERT INTO dinp_leases (name, holder, epoch, expires_at) VALUES (${name}, ${holder}, 1, ${expiresAt})`,
    );
    return Object.freeze({ name, holder, epoch: 1, ttlMs });
  }
  const isMine = row["holder"] === holder;
  if (!isMine && row["holder"] !== null && integerOf(row, "alive") === 1) return null;
  const epoch = integerOf(row, "epoch") + (isMine ? 0 : 1);
  await session.run(
    sql`UPDATE dinp_leases SET holder = ${holder}, epoch = ${epoch}, expires_at = ${expiresAt} WHERE name = ${name}`,
  );
  return Object.freeze({ name, holder, epoch, ttlMs });
}
