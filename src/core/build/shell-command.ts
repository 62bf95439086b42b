/** Characters that make a line more than one simple command, or that the cautious eye cannot rule out. */
const COMPOUND = /[;&|<>()`\n\r{}!]|\$\(|^\s*#|\s#/;
/** `${PORT}` and `${PORT:-3000}` are as simple as `$PORT`. */
const PARAMETER = /\$\{[A-Za-z_][A-Za-z0-9_]*(?::?-[A-Za-z0-9_./:-]*)?\}/g;
/** Words that the shell itself answers to: they cannot be replaced by a program. */
const SHELL_WORDS = new Set(
  (
    ". : alias bg bind break builtin case cd command continue declare do done elif else esac eval exec exit export " +
    "fg fi for function getopts hash if in jobs let local read readonly return select set shift source then time " +
    "times trap type typeset ulimit umask unalias unset until wait while"
  ).split(" "),
);
const ASSIGNMENT = /^[A-Za-z_][A-Za-z0-9_]*=/;

/**
 * The argument vector that runs a shell line: `/bin/sh -c LINE`. A line that is one simple command gets `exec` in front,
 * so that the program itself, not a shell around it, receives the signals; any other line stays as it is.
 */
export function shellCommand(line: string): readonly string[] {
  return ["/bin/sh", "-c", execLine(line)];
}

/** The line with `exec` before its command when it is one simple command; else the line itself. */
export function execLine(line: string): string {
  const text = line.trim();
  const first = text.split(/\s+/, 1)[0] ?? "";
  if (first === "" || COMPOUND.test(text.replace(PARAMETER, "")) || SHELL_WORDS.has(first)) return text;
  if (!ASSIGNMENT.test(first)) return `exec ${text}`;
  const simple = !/["'\\$*?[~]/.test(text) && text.split(/\s+/).some((word) => !ASSIGNMENT.test(word));
  return simple ? `exec env ${text}` : text;
}

/** The program that a command names without a path, as far as it can be told; null otherwise. */
export function programOf(command: readonly string[]): string | null {
  const [program = "", flag, line = ""] = command;
  if (program !== "/bin/sh" || flag !== "-c") return program.includes("/") ? null : program;
  const words = line.trim().split(/\s+/);
  const word = words.find((item) => item !== "exec" && item !== "env" && !ASSIGNMENT.test(item)) ?? "";
  return /^[A-Za-z0-9._+-]+$/.test(word) ? word : null;
}
