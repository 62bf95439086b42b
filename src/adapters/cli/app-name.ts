import { basename } from "node:path";
import { assertAppName, isDinpError } from "@dinp/core";
import { usageError } from "./exit-codes.js";
import { quote } from "./parse.js";

/** The app's name when it is one; a usage error otherwise, so that nothing is sent. */
export function parseAppName(text: string): string {
  try {
    assertAppName(text);
    return text;
  } catch (error) {
    if (!isDinpError(error)) throw error;
    throw usageError(
      `${quote(text)} is not a name for an app`,
      "Use 1 to 63 of a-z, 0-9 and '-', not beginning or ending with '-'",
    );
  }
}

/**
 * A DNS label made of a folder's or archive's name: lower case, accents dropped, other characters as single `-`,
 * the ending of an archive (`.tar.gz`, `.war` …) dropped, at most 63 characters; null when nothing is left.
 */
export function appNameFromPath(path: string): string | null {
  const label = basename(path)
    .replace(/\.(tar\.gz|tgz|tar|zip|war|jar)$/i, "")
    .normalize("NFKD")
    .replace(/\p{Mark}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+/, "")
    .slice(0, 63)
    .replace(/-+$/, "");
  return label === "" ? null : label;
}
