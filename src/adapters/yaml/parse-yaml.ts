import { DinpError, type JsonValue } from "@dinp/core";
import { isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document } from "yaml";
import { findExcess } from "./nesting.js";

/** The most text that {@link parseYaml} reads, in UTF-8 bytes. */
export const yamlBytesMax = 64 * 1024;

const ALIASES_MAX = 100;
const TOKENS_MAX = 20_000;
/** As {@link findExcess} counts: 64 levels at least. */
const DEPTH_MAX = 192;

/**
 * Parses one YAML 1.2 document (core schema) to a JSON value; empty text gives null.
 *
 * No custom tags, at most 64 KiB, 20,000 tokens, 64 levels (more where a level is short) and 100
 * resolved aliases; map keys are scalars, a key given twice is an
 * error. A number or boolean that is not written in its canonical form stays text, so that `1.10`, `007` or `True` keep
 * what was written. Errors: `DINP_INVALID`, with line and column where there is one.
 */
export function parseYaml(text: string): JsonValue {
  if (Buffer.byteLength(text) > yamlBytesMax) {
    throw invalid(`is larger than ${String(yamlBytesMax)} bytes`);
  }
  const excess = findExcess(text, { tokensMax: TOKENS_MAX, depthMax: DEPTH_MAX });
  if (excess !== null) {
    const line = text.slice(0, excess.offset).split("\n").length;
    throw invalid(
      `${excess.what === "depth" ? "is nested too deeply" : "has too many parts"} (at line ${String(line)})`,
    );
  }
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      schema: "core",
      version: "1.2",
      strict: true,
      uniqueKeys: false,
      merge: false,
      prettyErrors: false,
    });
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem !== undefined) {
      const { line, col } = lines.linePos(problem.pos[0]);
      throw invalid(`is wrong at line ${String(line)}, column ${String(col)}: ${firstLine(problem.message)}`);
    }
    prepare(document, lines);
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    if (isJson(value)) return value;
    throw invalid("holds a value that is not text, a number, true, false, a list or a map");
  } catch (error) {
    if (error instanceof DinpError) throw error;
    throw invalid(`cannot be read: ${error instanceof Error ? firstLine(error.message) : "unknown"}`, error);
  }
}

/** Refuses what JSON has no place for, and keeps the text of numbers and booleans that would not survive a round trip. */
function prepare(document: Document.Parsed, lines: LineCounter): void {
  const at = (range: readonly number[] | null | undefined): string => {
    const { line, col } = lines.linePos(range?.[0] ?? 0);
    return `line ${String(line)}, column ${String(col)}`;
  };
  visit(document, {
    Map(_, node) {
      // The parser's own check compares each key with all others, which takes seconds for thousands of keys.
      const seen = new Set<string>();
      for (const { key } of node.items) {
        if (!isScalar(key)) continue;
        const text = key.source ?? String(key.value);
        if (seen.has(text))
          throw invalid(`has the key ${quote(text)} for the second time at ${at(key.range)}`);
        seen.add(text);
      }
    },
    Pair(_, pair) {
      if (isMap(pair.key) || isSeq(pair.key))
        throw invalid(`has a key that is not text at ${at(pair.key.range)}`);
      if (isScalar(pair.key)) pair.key.value = pair.key.source ?? String(pair.key.value);
    },
    Scalar(key, node) {
      if (key === "key" || node.source === undefined) return;
      const { value, source } = node;
      if (typeof value === "number" && !Number.isFinite(value)) {
        throw invalid(`has a number that is not finite at ${at(node.range)}`);
      }
      if ((typeof value === "number" || typeof value === "boolean") && String(value) !== source) {
        node.value = source;
      }
    },
  });
}

function isJson(value: unknown): value is JsonValue {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object") return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype) return false;
  return Object.values(value).every(isJson);
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}

function firstLine(message: string): string {
  return (message.split("\n")[0] ?? message).slice(0, 200);
}

function invalid(what: string, cause?: unknown): DinpError {
  return new DinpError("DINP_INVALID", `The YAML text ${what}.`, cause === undefined ? {} : { cause });
}
