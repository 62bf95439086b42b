import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Of the package that a program's own file (`dist/bin/NAME.js`) is of. */
export function packageVersion(programUrl: string): string {
  const path = fileURLToPath(new URL("../../package.json", programUrl));
  return (JSON.parse(readFileSync(path, "utf8")) as { readonly version: string }).version;
}
