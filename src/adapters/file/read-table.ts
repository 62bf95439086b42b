import { resolve } from "node:path";
import { DinpError, isDinpError, type Route } from "@dinp/core";
import { parseTable, type FileTable } from "./parse-table.js";
import { TableFile } from "./table-file.js";

/** Checks a route file as `open` would, without serving it. Gives its routes. */
export async function readRouteFile(path: string): Promise<readonly Route[]> {
  return (await readTable(new TableFile(resolve(path)))).table.routes;
}

/** What the file says, and the hash of its text. The errors of both steps, with the file's name in them. */
export async function readTable(
  file: TableFile,
): Promise<{ readonly table: FileTable; readonly hash: string }> {
  try {
    const { text, hash } = await file.read();
    return { table: parseTable(text), hash };
  } catch (error) {
    throw unusable(file, error);
  }
}

function unusable(file: TableFile, error: unknown): unknown {
  if (!isDinpError(error)) return error;
  const { code, message, hint, retryable, details } = error;
  return new DinpError(code, `The route file ${file.path} cannot be used: ${message}.`, {
    retryable,
    details,
    cause: error,
    hint: hint ?? 'The smallest table is {"routes": []}.',
  });
}
