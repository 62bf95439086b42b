/** A piece of a glob pattern. `name`: `*`, within one name; `path`: `**`, across names; `folders`: `**` and `/`, none or more folders. */
export type GlobToken =
  | { readonly kind: "character"; readonly character: string }
  | { readonly kind: "any" | "name" | "path" | "folders" };

/** The tokens of a pattern: `*`, `**`, `?`, and `\\` that takes the next character as it is. */
export function parseGlob(pattern: string): readonly GlobToken[] {
  const tokens: GlobToken[] = [];
  for (const [token] of pattern.matchAll(/\*\*+\/|\*+|\\?./gsu)) {
    if (/^\*\*+\/$/.test(token)) tokens.push({ kind: "folders" });
    else if (token.startsWith("**")) tokens.push({ kind: "path" });
    else if (token === "*") tokens.push({ kind: "name" });
    else if (token === "?") tokens.push({ kind: "any" });
    else tokens.push({ kind: "character", character: token.length > 1 ? token.replace(/^\\/, "") : token });
  }
  return tokens;
}

/**
 * Whether the whole text matches. Keeps every position in the pattern that the text so far can lead to, so the time is
 * at most the product of both lengths: no pattern makes it backtrack.
 */
export function matchesGlob(tokens: readonly GlobToken[], text: string): boolean {
  let states = new Set<State>();
  enter(tokens, 0, states);
  for (const character of text) {
    const next = new Set<State>();
    for (const state of states) step(tokens, state, character, next);
    if (next.size === 0) return false;
    states = next;
  }
  return states.has(tokens.length);
}

/** A position in the pattern; a negative one lies inside the folders that `-position - 1` stands for. */
type State = number;

function enter(tokens: readonly GlobToken[], position: number, states: Set<State>): void {
  if (states.has(position)) return;
  states.add(position);
  const kind = tokens[position]?.kind;
  if (kind === "name" || kind === "path" || kind === "folders") enter(tokens, position + 1, states);
}

function step(tokens: readonly GlobToken[], state: State, character: string, next: Set<State>): void {
  const position = state < 0 ? -state - 1 : state;
  const token = tokens[position];
  switch (token?.kind) {
    case undefined:
      return;
    case "character":
      if (token.character === character) enter(tokens, position + 1, next);
      return;
    case "any":
      if (character !== "/") enter(tokens, position + 1, next);
      return;
    case "name":
      if (character !== "/") enter(tokens, position, next);
      return;
    case "path":
      enter(tokens, position, next);
      return;
    case "folders":
      next.add(-position - 1);
      if (character === "/") enter(tokens, position + 1, next);
      return;
  }
}
