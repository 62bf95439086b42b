import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ESLint } from "eslint";
import tseslint from "typescript-eslint";
import { describe, expect, test } from "vitest";
import { drivers, rows } from "../../scripts/lint/folders.mjs";
import { folderImports } from "../../scripts/lint/folder-imports.mjs";

interface Case {
  readonly name: string;
  readonly path: string;
  /** `rule (message id)`, or null for code that breaks nothing. */
  readonly breaks: string | null;
  readonly code: string;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const fixtures = new URL("../lint-fixtures/", import.meta.url);
const HEADER = /^\/\/ --- (?<path>\S+) (?:is legal|breaks (?<breaks>\S+ \(\S+\)))$/;

/** A fixture file holds many small files: each begins with a line that says where it stands and what it breaks. */
function casesOf(file: string): readonly Case[] {
  const cases: (Case & { lines: string[] })[] = [];
  for (const [i, line] of readFileSync(new URL(file, fixtures), "utf8").split("\n").entries()) {
    const header = HEADER.exec(line)?.groups;
    if (header === undefined) {
      if (line.startsWith("// ---")) throw new Error(`${file}:${String(i + 1)} is no header: ${line}`);
      cases.at(-1)?.lines.push(line);
      continue;
    }
    const name = `${String(i + 1)} ${line.slice("// --- ".length)}`;
    cases.push({ name, path: header["path"] ?? "", breaks: header["breaks"] ?? null, code: "", lines: [] });
  }
  return cases.map(({ lines, ...one }) => ({ ...one, code: `${lines.join("\n").trim()}\n` }));
}

const files = readdirSync(fixtures).sort();
const allCases = files.flatMap(casesOf);

// The project's own configuration, less the rules that need the types of a file that does not exist.
const eslint = new ESLint({
  cwd: root,
  overrideConfig: [
    tseslint.configs.disableTypeChecked,
    { languageOptions: { parserOptions: { projectService: false } } },
  ],
});

describe.each(files)("%s", (file) => {
  test.each(casesOf(file))("$name", async ({ path, breaks, code }) => {
    const [result] = await eslint.lintText(code, { filePath: path });
    const found = result?.messages.map(({ ruleId, messageId, message }) => {
      return ruleId === null ? message : `${ruleId} (${messageId ?? ""})`;
    });
    expect(found).toEqual(breaks === null ? [] : [breaks]);
  });
});

describe("the fixtures leave nothing out", () => {
  const broken = allCases.filter(({ breaks }) => breaks !== null);

  test.each(rows)("the row of $folder is broken and kept", ({ folder }) => {
    const pattern = new RegExp(`^${folder.replace("/.", "/[^/]+$").replace("*", "[^/]+")}(/|$)`);
    expect(broken.some(({ path }) => pattern.test(path))).toBe(true);
    expect(allCases.some(({ path, breaks }) => breaks === null && pattern.test(path))).toBe(true);
  });

  test.each(Object.entries(drivers))("%s is imported at home and abroad", (name, homes) => {
    const importing = allCases.filter(({ code }) => code.includes(`"${name}"`));
    expect(importing.some(({ breaks }) => breaks === "dinp/folder-imports (driver)")).toBe(true);
    for (const home of homes) {
      expect(importing.some(({ path, breaks }) => breaks === null && path.startsWith(`${home}/`))).toBe(true);
    }
  });

  test.each(Object.keys(folderImports.meta?.messages ?? {}))("the message %s is seen", (messageId) => {
    expect(broken.some(({ breaks }) => breaks === `dinp/folder-imports (${messageId})`)).toBe(true);
  });
});
