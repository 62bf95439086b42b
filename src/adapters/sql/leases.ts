import { assertStoreKey, type Lease } from "@dinp/core";
import type { Judgement, SqlDatabase, SqlRow } from "./database.js";
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

/** Takes or renews the lease, on the database's clock. */
export function acquireLease(
  database: SqlDatabase,
  { name, holder, ttlMs }: LeaseRequest,
  signal: AbortSignal | undefined,
): Promise<Lease | null> {
  const { dialect } = database;
  const expiresAt = dialect.inMs(ttlMs);
  const read = sql`SELECT holder, epoch, CASE WHEN expires_at > ${dialect.now} THEN 1 ELSE 0 END AS alive
                   FROM dinp_leases WHERE name = ${name} FOR UPDATE`;
  const judge = ([rows = []]: readonly (readonly SqlRow[])[]): Judgement<Lease | null> => {
    const [row] = rows;
    if (row === undefined) {
      const insertion = sql`INSERT INTO dinp_leases (name, holder, epoch, expires_at)
                            VALUES (${name}, ${holder}, 1, ${expiresAt})`;
      return { statements: [insertion], result: () => Object.freeze({ name, holder, epoch: 1, ttlMs }) };
    }
    const isMine = row["holder"] === holder;
    if (!isMine && row["holder"] !== null && integerOf(row, "alive") === 1) {
      return { statements: [], result: () => null };
    }
    const epoch = integerOf(row, "epoch") + (isMine ? 0 : 1);
    const update = sql`UPDATE dinp_leases SET holder = ${holder}, epoch = ${epoch}, expires_at = ${expiresAt}
                       WHERE name = ${name}`;
    return { statements: [update], result: () => Object.freeze({ name, holder, epoch, ttlMs }) };
  };
  return database.exchange([read], judge, { signal });
}

/** Gives up the lease when this epoch still holds it. */
export async function releaseLease(database: SqlDatabase, { name, epoch }: Lease): Promise<void> {
  const update = sql`UPDATE dinp_leases SET holder = NULL WHERE name = ${name} AND epoch = ${epoch}`;
  await database.exchange([], () => ({ statements: [update], result: () => undefined }));
}
