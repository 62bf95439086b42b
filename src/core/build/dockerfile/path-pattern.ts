/** Says whether a relative path, without `.` and `..`, fits. */
export type PathPattern = (path: string) => boolean;

type Token = "star" | ((character: string) => boolean);

/**
 * A pattern of Go's `filepath.Match`: `*`, `?`, `[a-z]`, `[^a-z]` and `\` within one name; with `isDeep`, `**` stands for any
 * number of folders. Null for a pattern that is none. The time that it takes grows with pattern times path, no faster.
 */
export function pathPattern(pattern: string, isDeep: boolean): PathPattern | null {
  const names: (readonly Token[] | "star")[] = [];
  for (const name of pattern.split("/").flatMap((each) => (isDeep ? deepNames(each) : [each]))) {
    const tokens = isDeep && name === "**" ? "star" : tokensOf(name);
    if (tokens === null) return null;
    names.push(tokens);
  }
  return (path) =>
    matches(names, path.split("/"), (tokens, name) =>
      matches(tokens, Array.from(name), (token, each) => token(each)),
    );
}

/** `**` beside other characters of a name reaches across folders, too. */
function deepNames(name: string): readonly string[] {
  if (name === "**" || !name.includes("**")) return [name];
  const [first = "", ...rest] = name.split(/\*{2,}/);
  return [`${first}*`, "**", `*${rest.join("*")}`];
}

/** Whether the items fit, "star" standing for any number of them. A star that was passed is never tried again. */
function matches<T, I>(
  pattern: readonly (T | "star")[],
  items: readonly I[],
  fits: (one: T, item: I) => boolean,
): boolean {
  let [at, item, star, begun] = [0, 0, -1, 0];
  while (item < items.length) {
    const one = pattern[at];
    const candidate = items[item];
    if (one === "star") {
      star = at;
      begun = item;
      at += 1;
    } else if (one !== undefined && candidate !== undefined && fits(one, candidate)) {
      at += 1;
      item += 1;
    } else if (star >= 0) {
      begun += 1;
      at = star + 1;
      item = begun;
    } else return false;
  }
  return pattern.slice(at).every((one) => one === "star");
}

function tokensOf(name: string): readonly Token[] | null {
  const characters = Array.from(name);
  const tokens: Token[] = [];
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? "";
    if (character === "*") {
      if (tokens.at(-1) !== "star") tokens.push("star");
    } else if (character === "?") tokens.push(() => true);
    else if (character === "[") {
      const end = endOfClass(characters, at);
      if (end < 0) return null;
      tokens.push(classOf(characters.slice(at + 1, end)));
      at = end;
    } else if (character === "\\") {
      at += 1;
      const escaped = characters[at];
      if (escaped === undefined) return null;
      tokens.push((other) => other === escaped);
    } else tokens.push((other) => other === character);
  }
  return tokens;
}

function endOfClass(characters: readonly string[], begin: number): number {
  const first = characters[begin + 1] === "^" ? begin + 2 : begin + 1;
  for (let at = first; at < characters.length; at += 1) {
    if (characters[at] === "\\") at += 1;
    else if (characters[at] === "]" && at > first) return at;
  }
  return -1;
}

function classOf(characters: readonly string[]): (character: string) => boolean {
  const isNot = characters[0] === "^";
  const ranges: (readonly [string, string])[] = [];
  const rest = characters.slice(isNot ? 1 : 0);
  const next = (): string => {
    const character = rest.shift() ?? "";
    return character === "\\" ? (rest.shift() ?? "") : character;
  };
  while (rest.length > 0) {
    const low = next();
    if (rest[0] !== "-" || rest.length < 2) {
      ranges.push([low, low]);
      continue;
    }
    rest.shift();
    ranges.push([low, next()]);
  }
  return (character) => ranges.some(([low, high]) => low <= character && character <= high) !== isNot;
}
