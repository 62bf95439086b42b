import { DinpError } from "../model/errors.js";
import type { Node } from "../model/records.js";
import { withSignal } from "./app-records.js";
import type { PlatformContext, ReadOptions } from "./context.js";

const INSTALL_HINTS: ReadonlyMap<string, string> = new Map([
  ["node", "Install Node.js (Debian: `apt-get install nodejs`)"],
  ["python3", "Install Python 3 (Debian: `apt-get install python3`)"],
  ["java", "Install a Java runtime (Debian: `apt-get install default-jre-headless`)"],
  ["ruby", "Install Ruby (Debian: `apt-get install ruby`)"],
  ["php", "Install PHP (Debian: `apt-get install php-cli`)"],
]);

/**
 * Rejects with `DINP_PROGRAM_MISSING` when the release needs a program that no node has. Says nothing while there is no
 * node, or one whose images bring their own.
 */
export async function assertPrograms(
  context: PlatformContext,
  requires: readonly string[],
  options: ReadOptions,
): Promise<void> {
  if (requires.length === 0) return;
  const nodes: Node[] = [];
  for await (const { value } of context.store.list("node", withSignal(options))) nodes.push(value);
  if (nodes.length === 0) return;
  const found = new Set<string>();
  for (const { programs } of nodes) {
    if (programs === null) return;
    for (const program of programs) found.add(program);
  }
  const missing = requires.filter((program) => !found.has(program));
  const first = missing[0];
  if (first === undefined) return;
  const names = nodes.map((node) => node.id);
  const shown =
    names.length > 5
      ? `${names.slice(0, 5).join(", ")} and ${String(names.length - 5)} more`
      : names.join(", ");
  const install = INSTALL_HINTS.get(first) ?? `Install ${first} there, on the PATH of the platform`;
  throw new DinpError(
    "DINP_PROGRAM_MISSING",
    `The app needs ${missing.map((program) => `\`${program}\``).join(", ")}, which no node has (${shown}).`,
    {
      hint: `${install}, start the platform there again, and repeat the push.`,
      details: { programs: missing, nodes: names.slice(0, 100) },
    },
  );
}
