import type { SqlValue, Statement } from "../sql/index.js";

/**
 * The statement's text with its values in it. They read the same in every mode of the server: nothing in them depends on
 * whether a backslash escapes.
 */
export function mysqlText({ texts, values }: Statement): string {
  return texts.reduce((text, piece, index) => `${text}${literal(values[index - 1] ?? null)}${piece}`);
}

function literal(value: SqlValue): string {
  if (value === null) return "NULL";
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError(`${String(value)} is no number of SQL.`);
    return String(value);
  }
  if (value.includes("\\")) return `_utf8mb4 x'${Buffer.from(value, "utf8").toString("hex")}'`;
  return `'${value.replaceAll("'", "''")}'`;
}
