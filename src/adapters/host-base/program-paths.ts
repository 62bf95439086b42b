import { access, constants } from "node:fs/promises";
import { join } from "node:path";

/** Where programs of this name lie in the folders, in their order. */
export async function* programsNamed(
  name: string,
  searchPath: readonly string[],
): AsyncGenerator<string, void, undefined> {
  for (const folder of searchPath) {
    const path = join(folder, name);
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) yield path;
  }
}

/** The `code` of an error of Node's: a word for errors of the system, a number for an exit code. */
export function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}
