export type SqlValue = string | number | null;

/** A statement with its values apart: `texts` are the pieces between them. */
export interface Statement {
  readonly texts: readonly string[];
  readonly values: readonly SqlValue[];
}

/** Writes a statement; what is interpolated becomes a parameter, and a statement becomes a part of this one. */
export function sql(strings: TemplateStringsArray, ...parts: readonly (SqlValue | Statement)[]): Statement {
  const texts: string[] = [strings[0] ?? ""];
  const values: SqlValue[] = [];
  parts.forEach((part, index) => {
    const isStatement = typeof part === "object" && part !== null;
    append(texts, values, isStatement ? part : { texts: ["", ""], values: [part] });
    texts.push(`${texts.pop() ?? ""}${strings[index + 1] ?? ""}`);
  });
  return { texts, values };
}

/** Text that goes into the statement as it is; never of a user's making. */
export function rawSql(text: string): Statement {
  return { texts: [text], values: [] };
}

/** The statements with `separator` between them. */
export function joinSql(statements: readonly Statement[], separator = ", "): Statement {
  const texts: string[] = [""];
  const values: SqlValue[] = [];
  statements.forEach((statement, index) => {
    if (index > 0) texts.push(`${texts.pop() ?? ""}${separator}`);
    append(texts, values, statement);
  });
  return { texts, values };
}

/** A parenthesised list of rows of values: `(?, ?), (?, ?)`. */
export function rowsSql(rows: readonly (readonly SqlValue[])[]): Statement {
  return joinSql(rows.map((row) => sql`(${joinSql(row.map((value) => sql`${value}`))})`));
}

function append(texts: string[], values: SqlValue[], statement: Statement): void {
  texts.push(`${texts.pop() ?? ""}${statement.texts[0] ?? ""}`, ...statement.texts.slice(1));
  values.push(...statement.values);
}
