import type { RolloutView } from "@dinp/core/client";

/** What helps against what apps most often fail with, as far as the reason and the app's last lines tell. */
export function failureHints(
  app: string,
  { reason }: Pick<RolloutView, "reason">,
  log: readonly string[],
): string[] {
  const hints: string[] = [];
  if (reason.startsWith("not ready within "))
    hints.push(
      "It must listen on the port in PORT: in a container at 0.0.0.0, since nobody outside reaches its 127.0.0.1.",
    );
  if (log.some((line) => /\bEROFS\b|read-only file system/i.test(line)))
    hints.push(
      `The image's files cannot be changed: write to $HOME or /tmp, or have an admin run "dinp grants set ${app} --writable-root".`,
    );
  return hints;
}
