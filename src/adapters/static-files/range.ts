/** A part of a file, both ends inclusive. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The one range that a `Range` field asks for (RFC 9110 section 14): `whole` when there is none that must be obeyed (several ranges,
 * another unit), `unsatisfiable` when it begins behind the end.
 */
export function parseRange(field: string | undefined, size: number): ByteRange | "whole" | "unsatisfiable" {
  const match = /^bytes=(\d*)-(\d*)$/.exec(field ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (match === null || (first === "" && last === "")) return "whole";
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { from: size - length, to: size - 1 };
  }
  const from = Number(first);
  const to = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== "" && Number(last) < from) return "whole";
  return from >= size ? "unsatisfiable" : { from, to };
}
