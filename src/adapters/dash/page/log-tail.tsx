import type { JSX } from "preact";
import { plain } from "./text.js";

/** The last lines of a log that has ended. */
export function LogTail({
  title,
  lines,
}: {
  readonly title: string;
  readonly lines: readonly string[];
}): JSX.Element {
  return (
    <figure class="log">
      <figcaption>{title}</figcaption>
      {/* Can be scrolled with the keyboard, too. */}
      <pre tabIndex={0}>{lines.map(plain).join("\n")}</pre>
    </figure>
  );
}
