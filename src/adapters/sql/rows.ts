import { DinpError, kinds, parseFrozen, storedRecord, type Kind, type Stored } from "@dinp/core";
import type { SqlRow } from "./database.js";

export function textOf(row: SqlRow, column: string): string {
  const value = row[column];
  if (typeof value === "string") return value;
  throw corrupt(`The column ${column} holds ${typeof value} where text belongs.`);
}

/** A whole number, however the driver hands out 64-bit ones. */
export function integerOf(row: SqlRow, column: string): number {
  const value = row[column];
  const number =
    typeof value === "number" ? value : Number(typeof value === "bigint" ? value : textOf(row, column));
  if (Number.isSafeInteger(number)) return number;
  throw corrupt(`The column ${column} holds ${String(number)} where a whole number belongs.`);
}

export function kindOf(row: SqlRow): Kind {
  const text = textOf(row, "kind");
  const kind = kinds.find((candidate) => candidate === text);
  if (kind !== undefined) return kind;
  throw new DinpError(
    "DINP_INVALID",
    `The store holds records of the kind "${text}", which this program does not know.`,
    { hint: "Run the newer version of the program that wrote them." },
  );
}

/** The record of a row with `record_key`, `revision` and `value`. */
export function recordOf<K extends Kind>(kind: K, row: SqlRow): Stored<K> {
  const key = textOf(row, "record_key");
  return storedRecord(
    kind,
    key,
    parsed(textOf(row, "value"), `the ${kind} "${key}"`),
    integerOf(row, "revision"),
  );
}

export function parsed(text: string, what: string): unknown {
  try {
    return parseFrozen(text);
  } catch (error) {
    throw corrupt(`The JSON of ${what} cannot be read.`, error);
  }
}

export function corrupt(message: string, cause?: unknown): DinpError {
  return new DinpError("DINP_CORRUPT", message, { hint: "Restore the store from a backup.", cause });
}

/** `items` in pieces of at most `length`, and of a size of at most `max` together where one item alone is not above it. */
export function chunks<T>(
  items: readonly T[],
  length: number,
  bound?: { readonly sizeOf: (item: T) => number; readonly max: number },
): readonly (readonly T[])[] {
  const pieces: T[][] = [];
  let size = 0;
  for (const item of items) {
    const itemSize = bound?.sizeOf(item) ?? 0;
    const piece = pieces.at(-1);
    if (piece === undefined || piece.length >= length || size + itemSize > (bound?.max ?? 0)) {
      pieces.push([item]);
      size = itemSize;
    } else {
      piece.push(item);
      size += itemSize;
    }
  }
  return pieces;
}
