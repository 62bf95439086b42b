import { existsSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join } from "node:path";
import ts from "typescript";

const PACKAGE = "@dinp/core";

/**
 * The packages that the declarations of one entry mention, directly or through the declarations that they import,
 * each with the file that does. A user who has not installed a driver could not compile against them.
 *
 * @param {string} entryFile The entry's `.d.ts`.
 * @param {(subpath: string) => string | undefined} declarationsOf The `.d.ts` of another entry of this package.
 * @returns {{ file: string, name: string }[]}
 */
export function foreignTypes(entryFile, declarationsOf) {
  const seen = new Set([entryFile]);
  /** @type {{ file: string, name: string }[]} */
  const foreign = [];
  // A set hands out what is added to it while it is walked.
  for (const file of seen) {
    if (!existsSync(file)) throw new Error(`${file} does not exist, and the public types lead to it.`);
    const found = ts.preProcessFile(readFileSync(file, "utf8"), true, true);
    for (const { fileName } of found.typeReferenceDirectives) foreign.push({ file, name: fileName });
    for (const { fileName: name } of found.importedFiles) {
      if (name.startsWith(".")) {
        seen.add(join(dirname(file), name.replace(/\.js$/, ".d.ts")));
      } else if (name === PACKAGE || name.startsWith(`${PACKAGE}/`)) {
        const target = declarationsOf(`.${name.slice(PACKAGE.length)}`);
        if (target === undefined) foreign.push({ file, name });
        else seen.add(target);
      } else if (!isBuiltin(name)) {
        foreign.push({ file, name });
      }
    }
  }
  return foreign;
}
