import { displayWidth, pad, printable, wrap } from "./text.js";
import type { Color, Output, Paint } from "./terminal.js";

/** A value of a table: text, and the color that it has where there are colors. */
export type Cell = string | { readonly text: string; readonly color: Color };

export interface Column {
  readonly header: string;
  readonly align?: "left" | "right";
}

export interface TableOptions {
  readonly paint: Paint;
  /** Columns of the terminal: the last column is broken into lines there, below itself. Absent: a row is one line. */
  readonly width?: number | undefined;
  /** Spaces before each row. */
  readonly indent?: number;
}

const GAP = 2;
/** A last column narrower than this is left to the terminal. */
const LAST_WIDTH_MIN = 16;

/** Rows under a header, aligned. Cells are made printable. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  options: TableOptions,
): string[] {
  const texts = rows.map((row) => columns.map((_, index) => textOf(row[index])));
  const widths = columns.map((column, index) =>
    Math.max(displayWidth(column.header), ...texts.map((row) => displayWidth(row[index] ?? ""))),
  );
  const indent = options.indent ?? 0;
  const before = indent + widths.slice(0, -1).reduce((sum, width) => sum + width + GAP, 0);
  const room = options.width === undefined ? Infinity : options.width - before;
  const lastWidth = room >= LAST_WIDTH_MIN ? room : Infinity;

  const line = (cells: readonly string[], colorOf: (index: number) => Color | undefined): string => {
    const padded = cells.map((cell, index) => {
      const align = columns[index]?.align ?? "left";
      const isLast = index === cells.length - 1;
      const text = isLast && align === "left" ? cell : pad(cell, widths[index] ?? 0, align);
      const color = colorOf(index);
      return color === undefined ? text : options.paint(color, text);
    });
    return `${" ".repeat(indent)}${padded.join(" ".repeat(GAP))}`.trimEnd();
  };
  const header = line(
    columns.map((column) => column.header),
    () => "dim",
  );
  const body = texts.flatMap((cells, row) => {
    const [first = "", ...rest] = wrap(cells.at(-1) ?? "", lastWidth);
    const shown = line([...cells.slice(0, -1), first], (index) => colorOf(rows[row]?.[index]));
    return [shown, ...rest.map((text) => " ".repeat(before) + text)];
  });
  return [header, ...body];
}

/** Prints the rows; on a terminal the last column is broken into lines that fit. */
export function printTable(
  out: Output,
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
): void {
  for (const line of renderTable(columns, rows, { paint: out.paint, width: out.columns })) out.line(line);
}

function textOf(cell: Cell | undefined): string {
  return printable(typeof cell === "object" ? cell.text : (cell ?? ""));
}

function colorOf(cell: Cell | undefined): Color | undefined {
  return typeof cell === "object" ? cell.color : undefined;
}
