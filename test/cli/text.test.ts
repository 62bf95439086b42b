import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { renderTable } from "../../src/adapters/cli/table.js";
import {
  displayWidth,
  formatAgo,
  formatBytes,
  formatCommand,
  formatDuration,
  formatMemory,
  printable,
  shortDigest,
  shortId,
  toJson,
  truncate,
  wrap,
} from "../../src/adapters/cli/text.js";

const plain = (_color: string, text: string): string => text;

describe("other people's text", () => {
  it("loses escape sequences, control characters and direction overrides", () => {
    expect(printable("\u001B[31mred\u001B[0m")).toBe("red");
    expect(printable("\u001B]0;title\u0007x")).toBe("x");
    expect(printable("a\rb\u0008c\u009B2Jd\u202Ee\u0000f")).not.toMatch(/[\p{Cc}\u202E]/u);
    expect(printable("a\tb")).toBe("a    b");
    expect(printable("größe 日本 🙂")).toBe("größe 日本 🙂");
  });

  it("is printable, whatever it was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(printable(text)).not.toMatch(/[\p{Cc}\u202A-\u202E\u2066-\u2069]/u);
      }),
    );
  });

  it("cannot address a terminal through JSON", () => {
    const json = toJson({ text: "a\u001B[31m\u009B2J\u007F" });
    expect(json).not.toMatch(/\p{Cc}/u);
    expect(JSON.parse(json)).toEqual({ text: "a\u001B[31m\u009B2J\u007F" });
  });
});

describe("numbers and times for people", () => {
  it("formats sizes", () => {
    expect([0, 999, 1000, 34_120, 999_949, 999_950, 2_000_000_000].map(formatBytes)).toEqual([
      "0 B",
      "999 B",
      "1.0 kB",
      "34.1 kB",
      "999.9 kB",
      "1.0 MB",
      "2.0 GB",
    ]);
    expect([16, 256, 1024, 1536].map(formatMemory)).toEqual(["16 MB", "256 MB", "1 GB", "1.5 GB"]);
  });

  it("formats times", () => {
    expect([0, 400, 9_999, 12_000, 119_000, 120_000, 7_200_000, 200_000_000].map(formatDuration)).toEqual([
      "0.0 s",
      "0.4 s",
      "10.0 s",
      "12 s",
      "119 s",
      "2 min",
      "2 h",
      "2 d",
    ]);
    expect(formatAgo(1_000, 1_500)).toBe("just now");
    expect(formatAgo(5_000, 1_000)).toBe("just now");
    expect(formatAgo(1_000, 4_700)).toBe("3 s ago");
    expect(formatAgo(0, 300_000)).toBe("5 min ago");
  });

  it("shortens ids and digests", () => {
    expect(shortId("inst-7k2m9q4x0c1d")).toBe("7k2m9q4x");
    expect(shortId("plain")).toBe("plain");
    expect(shortDigest(`sha256:${"ab".repeat(32)}`)).toBe("sha256:abababababab");
  });

  it("writes a command as one types it", () => {
    expect(formatCommand(["node", "a b.js", "it's", "$PORT"])).toBe(`node 'a b.js' 'it'\\''s' $PORT`);
  });
});

describe("widths", () => {
  it("counts wide characters twice and marks not at all", () => {
    expect(displayWidth("abc")).toBe(3);
    expect(displayWidth("日本")).toBe(4);
    expect(displayWidth("e\u0301")).toBe(1);
  });

  it("never cuts to more than it was told", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 40 }), (text, width) => {
        const cut = truncate(text, width);
        expect(displayWidth(cut)).toBeLessThanOrEqual(Math.max(width, 1));
        if (displayWidth(text) <= width) expect(cut).toBe(text);
      }),
    );
  });
});

describe("wrapping", () => {
  it("loses no word, and makes no line too long", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 2, max: 30 }), (text, width) => {
        const lines = wrap(printable(text), width);
        expect(lines.every((line) => displayWidth(line) <= width)).toBe(true);
        expect(lines.join("").replaceAll(" ", "")).toBe(printable(text).replaceAll(" ", ""));
      }),
    );
  });
});

describe("tables", () => {
  const columns = [{ header: "NAME" }, { header: "N", align: "right" }, { header: "TEXT" }] as const;

  it("aligns its columns", () => {
    const rows = [
      ["a", "1", "x"],
      ["long-name", "100", "y"],
    ];
    expect(renderTable(columns, rows, { paint: plain })).toEqual([
      "NAME         N  TEXT",
      "a            1  x",
      "long-name  100  y",
    ]);
  });

  it("breaks the last column below itself so that no row wraps, and nothing without a terminal", () => {
    const rows = [["a", "1", `word ${"x".repeat(100)}`]];
    const cut = renderTable(columns, rows, { paint: plain, width: 40 });
    expect(cut.map(displayWidth).every((width) => width <= 40)).toBe(true);
    expect(
      cut
        .slice(1)
        .map((line) => line.slice(9))
        .join(""),
    ).toBe(`word${"x".repeat(100)}`);
    expect(cut[2]).toMatch(/^ {9}x+$/);
    expect(renderTable(columns, rows, { paint: plain })[1]).toContain("x".repeat(100));
  });

  it("colors cells without moving the columns, and lets no cell break a line", () => {
    const marked = (_color: string, text: string): string => `<${text}>`;
    const lines = renderTable(columns, [[{ text: "a", color: "red" }, "1", "x\ny\u001B[2J"]], {
      paint: marked,
    });
    expect(lines).toHaveLength(2);
    expect(lines[1]).toBe("<a   >  1  xy");
  });
});
