/** Shorter ones are too common to be masked: they would make a log unreadable, and tell where they stood. */
const LENGTH_MIN = 4;
const MASK = "***";

/** A function that replaces these values, and each line of those of several lines, wherever they stand in a text. */
export function secretMask(values: readonly string[]): (text: string) => string {
  const parts = values
    .flatMap((value) => [value, ...value.split(/\r?\n/)])
    .filter((part) => part.length >= LENGTH_MIN)
    .sort((a, b) => b.length - a.length);
  return (text) => parts.reduce((masked, part) => masked.replaceAll(part, MASK), text);
}
