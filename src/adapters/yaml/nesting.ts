import { CST, Lexer } from "yaml";

/** What makes a YAML text too much to parse; null when nothing does. */
export type Excess = { readonly what: "tokens" | "depth"; readonly offset: number } | null;

/**
 * Looks for too many tokens or levels in the text's tokens, without recursion.
 *
 * The parser proper recurses: text that is nested deeply enough overflows its stack, and V8 ends the whole process when
 * that happens while it compiles a regular expression ("RegExpCompiler Allocation failed"). So the depth must be known
 * before. What is counted is never less than the real depth, and at
 * most three times as much.
 */
export function findExcess(
  text: string,
  limits: { readonly tokensMax: number; readonly depthMax: number },
): Excess {
  const blocks = new BlockLevels();
  let flow = 0;
  let broken = 0;
  let tokens = 0;
  let offset = 0;
  let lineStart = 0;
  for (const token of new Lexer().lex(text)) {
    tokens += 1;
    const column = offset - lineStart;
    switch (CST.tokenType(token)) {
      case "flow-map-start":
      case "flow-seq-start":
        flow += 1;
        break;
      case "flow-map-end":
      case "flow-seq-end":
        flow = Math.max(0, flow - 1);
        break;
      case "space":
      case "newline":
      case "comment":
      case "byte-order-mark":
      case "doc-mode":
        break;
      case "flow-error-end":
        broken += flow;
        flow = 0;
        break;
      default:
        if (flow === 0) blocks.at(column);
    }
    if (tokens > limits.tokensMax) return { what: "tokens", offset };
    if (flow + broken + blocks.depth > limits.depthMax) return { what: "depth", offset };
    // The lexer's marks for a document's start and a scalar (\u0002, \u0018, \u001f) are no text.
    if (!/^[\u0002\u0018\u001f]$/u.test(token)) offset += token.length;
    const lastBreak = token.lastIndexOf("\n");
    if (lastBreak !== -1) {
      lineStart = offset - (token.length - lastBreak - 1);
      blocks.newLine();
    }
  }
  return null;
}

/** Columns at which block collections may be open. */
class BlockLevels {
  #columns: number[] = [];
  #isLineStart = true;

  get depth(): number {
    return this.#columns.length;
  }

  newLine(): void {
    this.#isLineStart = true;
  }

  /** A token at this column: the first of a line closes what lies further right. */
  at(column: number): void {
    if (this.#isLineStart) {
      this.#columns = this.#columns.filter((open) => open < column);
      this.#isLineStart = false;
    }
    this.#columns.push(column);
  }
}
