import type { messages, PGlite } from "@electric-sql/pglite";
import type { SqlRow } from "../sql/index.js";

type Message = messages.BackendMessage;

/** The rows of one statement's answer; null when it does not end by naming the command that was completed. */
export function rowsOf(answer: readonly Message[], parsers: PGlite["parsers"]): readonly SqlRow[] | null {
  const rows: SqlRow[] = [];
  let columns: readonly Column[] = [];
  let isComplete = false;
  for (const message of answer) {
    if (isDescription(message)) {
      columns = message.fields.map(({ name, dataTypeID }) => ({
        name,
        type: dataTypeID,
        parse: parsers[dataTypeID],
      }));
    } else if (isRow(message)) {
      const row: Record<string, unknown> = {};
      for (const [index, { name, type, parse }] of columns.entries()) {
        const text = message.fields[index] ?? null;
        row[name] = text === null || parse === undefined ? text : parse(text, type);
      }
      rows.push(row);
    } else if (message.name === "commandComplete") isComplete = true;
  }
  return isComplete ? rows : null;
}

interface Column {
  readonly name: string;
  readonly type: number;
  readonly parse: PGlite["parsers"][number] | undefined;
}

function isDescription(message: Message): message is messages.RowDescriptionMessage {
  return message.name === "rowDescription";
}

function isRow(message: Message): message is messages.DataRowMessage {
  return message.name === "dataRow";
}
