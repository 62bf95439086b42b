import { refusedAt, shown, type DockerfilePlace } from "./refusal.js";

/** One instruction as it is written: lines that go on are joined, comments between them left out. */
export interface RawInstruction extends DockerfilePlace {
  /** `--name=value` before all else; a value of null is a name alone. */
  readonly flags: ReadonlyMap<string, string | null>;
  /** What follows. */
  readonly text: string;
}

export interface RawDockerfile {
  readonly instructions: readonly RawInstruction[];
  /** `\` or, by a directive, a backtick. */
  readonly escape: string;
}

const INSTRUCTIONS_MAX = 500;
const DIRECTIVE = /^#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.*?)\s*$/;
const FLAG = /^--([a-z][a-z-]*)(?:=(\S*))?(?:\s+|$)/;

/**
 * The instructions of a Dockerfile, in its order (Dockerfile reference, "Format", "Parser directives", "Escape"). Keywords are
 * not looked at yet. `DINP_INVALID` for a directive that names another reader, for here-documents, and too many instructions.
 */
export function readDockerfile(text: string): RawDockerfile {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  const escape = readDirectives(lines);
  const goesOn = escape === "`" ? /`[ \t]*$/ : /\\[ \t]*$/;
  const instructions: RawInstruction[] = [];
  let begun: { readonly line: number; text: string } | null = null;
  for (const [index, whole] of lines.entries()) {
    // Empty lines and comments do not end an instruction that goes on.
    if (/^\s*(?:#|$)/.test(whole)) continue;
    const line = begun === null ? whole.trimStart() : whole;
    begun ??= { line: index + 1, text: "" };
    begun.text += line.replace(goesOn, "");
    if (goesOn.test(line)) continue;
    instructions.push(instruction(begun.line, begun.text));
    begun = null;
  }
  if (begun !== null) instructions.push(instruction(begun.line, begun.text));
  const beyond = instructions[INSTRUCTIONS_MAX];
  if (beyond !== undefined)
    throw refusedAt(beyond, `there are more than ${String(INSTRUCTIONS_MAX)} instructions`, "Join some.");
  return { instructions, escape };
}

/** Comments of the form `# name=value` before everything else. */
function readDirectives(lines: readonly string[]): string {
  let escape = "\\";
  for (const [index, line] of lines.entries()) {
    const [, name, value = ""] = DIRECTIVE.exec(line) ?? [];
    if (name === undefined) return escape;
    const place = { line: index + 1, keyword: `# ${name.toLowerCase()}` };
    switch (name.toLowerCase()) {
      case "syntax":
        throw refusedAt(
          place,
          `it names ${JSON.stringify(shown(value, 80))} to read the file, which would be a program from elsewhere`,
          "Leave the line out: the platform reads the file itself.",
        );
      case "escape":
        if (value !== "\\" && value !== "`")
          throw refusedAt(
            place,
            `${JSON.stringify(shown(value, 20))} is not \\ or a backtick`,
            "Write # escape=`.",
          );
        escape = value;
        break;
      case "check":
        break;
      default:
        // Any other comment ends the directives.
        return escape;
    }
  }
  return escape;
}

function instruction(line: number, text: string): RawInstruction {
  const [, word = "", rest = ""] = /^(\S+)\s*([^]*)$/.exec(text.trim()) ?? [];
  const place = { line, keyword: shown(word.toUpperCase(), 40) };
  const flags = new Map<string, string | null>();
  let left = rest;
  for (let flag = FLAG.exec(left); flag !== null; flag = FLAG.exec(left)) {
    const [all, name = "", value] = flag;
    if (flags.has(name)) throw refusedAt(place, `--${name} is there twice`, "Leave one of them out.");
    flags.set(name, value ?? null);
    left = left.slice(all.length);
  }
  if (["RUN", "COPY", "ADD"].includes(place.keyword) && /(?:^|[\s;&|(])\d?<<-?\s*["']?[A-Za-z_]/.test(left))
    throw refusedAt(place, "here-documents (<<) are not read", "Put the text into a file of the upload.");
  return { ...place, flags, text: left };
}
