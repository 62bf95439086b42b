import { displayWidth, pad, printable, truncate } from "./text.js";
import type { Color, Paint } from "./terminal.js";

/** A value of a table: text, and the color that it has where there are colors. */
export type Cell = string | { readonly text: string; readonly color: Color };

export interface Column {
  readonly header: string;
  readonly align?: "left" | "right";
}

export interface TableOptions {
  readonly paint: Paint;
  /** Columns of the terminal; the last column is cut there, so that no row wraps. Absent: rows are never cut. */
  readonly width?: number | undefined;
  /** Spaces before each row. */
  readonly indent?: number;
}

const GAP = 2;

/** Rows under a header, aligned; one line each. Cells are made printable. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  options: TableOptions,
): string[] {
  const texts = rows.map((row) =>
    columns.map((_, index) => {
      const cell = row[index] ?? "";
      return printable(typeof cell === "string" ? cell : cell.text);
    }),
  );
  const widths = columns.map((column, index) =>
    Math.max(displayWidth(column.header), ...texts.map((row) => displayWidth(row[index] ?? ""))),
  );
  const line = (cells: readonly string[], colors: readonly (Color | undefined)[]): string => {
    let text = " ".repeat(options.indent ?? 0);
    let used = text.length;
    for (const [index, cell] of cells.entries()) {
      const isLast = index === cells.length - 1;
      const room = isLast && options.width !== undefined ? Math.max(8, options.width - used) : Infinity;
      const shown = truncate(cell, room);
      const align = columns[index]?.align ?? "left";
      const padded = isLast && align === "left" ? shown : pad(shown, widths[index] ?? 0, align);
      const color = colors[index];
      text += color === undefined ? padded : options.paint(color, padded);
      if (!isLast) text += " ".repeat(GAP);
      used += (widths[index] ?? 0) + GAP;
    }
    return text.trimEnd();
  };
  const header = line(
    columns.map((column) => column.header),
    columns.map(() => "dim"),
  );
  const body = texts.map((cells, row) =>
    line(
      cells,
      columns.map((_, index) => {
        const cell = rows[row]?.[index];
        return cell === undefined || typeof cell === "string" ? undefined : cell.color;
      }),
    ),
  );
  return [header, ...body];
}
