const UNPRINTABLE = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Text that is safe to show on a terminal or in a log line: control characters (escape sequences, line ends), lone
 * surrogates and direction overrides become U+FFFD, and what exceeds `lengthMax` is cut.
 */
export function printable(text: string, lengthMax = 1_000): string {
  const cut = text.length > lengthMax ? `${text.slice(0, lengthMax - 1)}…` : text;
  return cut.replace(UNPRINTABLE, "\ufffd");
}

/** A user's value as it is shown in a message. */
export function quoted(text: string): string {
  return `"${printable(text, 120)}"`;
}
