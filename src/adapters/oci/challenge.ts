/** One way to authenticate that a server offers (RFC 9110 section 11.6.1). */
export interface Challenge {
  /** In lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** By lower-case name. */
  readonly parameters: ReadonlyMap<string, string>;
}

const LENGTH_MAX = 16_384;
const SCHEME = /^[\s,]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s+|$)/;
const PARAMETER = /^[\s,]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]*))/;

/** The challenges of a `WWW-Authenticate` field; what cannot be read ends the list. */
export function parseChallenges(field: string): readonly Challenge[] {
  const challenges: Challenge[] = [];
  let rest = field.slice(0, LENGTH_MAX);
  for (;;) {
    const scheme = SCHEME.exec(rest);
    if (scheme === null) return challenges;
    rest = rest.slice(scheme[0].length);
    const parameters = new Map<string, string>();
    for (let found = PARAMETER.exec(rest); found !== null; found = PARAMETER.exec(rest)) {
      const [text, name = "", quoted, plain = ""] = found;
      parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? plain);
      rest = rest.slice(text.length);
    }
    challenges.push({ scheme: (scheme[1] ?? "").toLowerCase(), parameters });
  }
}
