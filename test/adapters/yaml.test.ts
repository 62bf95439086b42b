import { describe, expect, it } from "vitest";
import { parseYaml, yamlBytesMax } from "@dinp/core/yaml";

describe("parseYaml", () => {
  it("gives JSON values", () => {
    expect(parseYaml('a: [1, -2.5, true, null, text]\nb: {c: "d"}\n')).toEqual({
      a: [1, -2.5, true, null, "text"],
      b: { c: "d" },
    });
    expect(parseYaml("")).toBeNull();
    expect(parseYaml("a: &x {b: 1}\nc: *x\n")).toEqual({ a: { b: 1 }, c: { b: 1 } });
  });

  it("keeps the text of numbers and booleans that another form would change", () => {
    const text = "[1.10, 007, 0x1F, 1e3, 12345678901234567890, True, 2024-01-01, yes, +1]";
    const expected = [
      "1.10",
      "007",
      "0x1F",
      "1e3",
      "12345678901234567890",
      "True",
      "2024-01-01",
      "yes",
      "+1",
    ];
    expect(parseYaml(text)).toEqual(expected);
  });

  it("has only text as keys", () => {
    expect(parseYaml("8080: a\ntrue: b\n1.0: c\n")).toEqual({ "8080": "a", true: "b", "1.0": "c" });
  });

  it.each([
    ["a: 1\na: 2\n", /line 2, column 1/],
    ["a: 1\n'a': 2\n", /line 2, column 1/],
    ['x:\n  8: 1\n  "8": 2\n', /second time at line 3, column 3/],
    ["a: [1\nb: 2", /line 2/],
    ["a: !!js/function 'x'", /line 1, column 4/],
    ["a: !!binary aGk=", /neither|not text/],
    ["a: !custom x", /Unresolved tag/],
    ["a: .nan", /not finite at line 1, column 4/],
    ["a: -.inf", /not finite/],
    ["? [a, b]\n: c", /key that is not text at line 1/],
    ["--- a\n--- b", /multiple documents/],
    ["a: *missing", /missing/],
  ])("refuses %j", (text, message) => {
    let error: unknown = null;
    try {
      parseYaml(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: "DINP_INVALID", message: expect.stringMatching(message) as string });
  });

  it("refuses what is made to be large", () => {
    const laughs = [
      "a0: &a0 [x]",
      ...Array.from({ length: 12 }, (_, i) => {
        const refs = Array.from({ length: 10 }, () => `*a${String(i)}`).join(", ");
        return `a${String(i + 1)}: &a${String(i + 1)} [${refs}]`;
      }),
    ].join("\n");
    const invalid = expect.objectContaining({ code: "DINP_INVALID" }) as Error;
    expect(() => parseYaml(laughs)).toThrow(invalid);
    expect(() => parseYaml("[".repeat(yamlBytesMax - 1))).toThrow(invalid);
    expect(() => parseYaml("- ".repeat(20_000))).toThrow(invalid);
    expect(() => parseYaml(`a: ${"ü".repeat(yamlBytesMax / 2)}`)).toThrow(/larger than 65536 bytes/);
  });

  it.each(["[", "{", "- ", "? ", ": ", "[}", "a: &a [", "!!seq [", "'a': [", "- [ ]\n- {", "[\n", "a:\n- "])(
    "refuses %j nested without end before it is parsed",
    (piece) => {
      const text = piece.repeat(Math.floor(yamlBytesMax / piece.length));
      expect(() => parseYaml(text)).toThrow(/nested too deeply|too many parts/);
    },
  );

  it("refuses blocks that are nested ever deeper", () => {
    const text = Array.from({ length: 300 }, (_, i) => `${" ".repeat(i)}a:`).join("\n");
    expect(() => parseYaml(text)).toThrow(/nested too deeply \(at line/);
  });

  it("reads what is merely long or nested", () => {
    const deep = `${Array.from({ length: 60 }, (_, i) => `${"  ".repeat(i)}a:`).join("\n")} end`;
    expect(JSON.stringify(parseYaml(deep))).toBe(`${'{"a":'.repeat(60)}"end"${"}".repeat(60)}`);
    const flow = "[".repeat(60) + "]".repeat(60);
    expect(JSON.stringify(parseYaml(flow))).toBe(flow);
    const keys = Array.from({ length: 3_000 }, (_, i) => `key${String(i)}: "[{"`).join("\n");
    expect(Object.keys(parseYaml(keys) as object)).toHaveLength(3_000);
    const words = `command: [${Array.from({ length: 256 }, (_, i) => `w${String(i)}`).join(", ")}]`;
    expect((parseYaml(words) as { readonly command: unknown[] }).command).toHaveLength(256);
  });

  it("touches no prototype", () => {
    const value = parseYaml("__proto__: {polluted: 1}");
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
    expect(Object.keys(value as object)).toEqual(["__proto__"]);
  });
});
