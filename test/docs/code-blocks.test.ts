import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf, parseManifest, parseTemplates } from "@dinp/core";
import { readRouteFile } from "@dinp/core/file";
import { parseYaml } from "@dinp/core/yaml";
import { describe, expect, test } from "vitest";
import { allSettings } from "../../src/bin/config/all-settings.js";
import { loadConfig, namedOf } from "../../src/bin/config/load-config.js";
import { optional, type Setting, type Settings } from "../../src/bin/config/setting.js";
import { parseDockerfile } from "../../src/core/build/dockerfile/index.js";
import { commandErrors, commandsOf, spanErrors } from "./command-errors.js";
import { pagesOf, placeOf, projectRoot, readPage, type CodeBlock } from "./markdown.js";
import { typeErrors } from "./type-errors.js";

const pages = pagesOf(projectRoot);
const blocks = pages.flatMap((page) => page.blocks);

/** Files that blocks show, and what reads them. A block says which it is: ```` ```yaml dinp.yaml ````. */
const readers: Readonly<Record<string, (text: string) => unknown>> = {
  "yaml dinp.yaml": (text) => parseManifest(parseYaml(text)),
  "yaml /etc/dinp/dinp.yaml": readConfiguration,
  "yaml templates.yaml": (text) => parseTemplates(parseYaml(text), "templates.yaml"),
  "dockerfile Dockerfile": parseDockerfile,
  "json routes.json": readRoutes,
  "json package.json": readPackage,
};

/** Blocks that nothing here can check: drawings, what programs print, and files of other programs. */
const UNCHECKED: ReadonlySet<string> = new Set(["text", "ini"]);

const known = ["ts", "sh", ...UNCHECKED, ...Object.keys(readers)].join(", ");

async function readConfiguration(text: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "dinp-docs-"));
  try {
    const path = join(folder, "dinp.yaml");
    await writeFile(path, JSON.stringify(withoutSecretFiles(parseYaml(text))));
    // What a file does not say is another program's, or said elsewhere.
    const settings: Record<string, Record<string, Setting<unknown>>> = {};
    for (const { at, setting } of namedOf(allSettings))
      (settings[at.section] ??= {})[at.name] = optional(setting);
    const env = { DINP_CONFIG: path };
    await loadConfig(settings, { args: [], env, ownSection: "", known: allSettings });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The files that secrets are in are on the reader's machine: here it counts that there is a secret of that name. */
function withoutSecretFiles(configuration: unknown): unknown {
  if (typeof configuration !== "object" || configuration === null) return configuration;
  const settings: Settings = allSettings;
  const sections = Object.entries(configuration).map(([section, values]: [string, unknown]) => {
    if (typeof values !== "object" || values === null) return [section, values] as const;
    const kept = Object.entries(values).filter(
      ([name]) => !(name.endsWith("File") && settings[section]?.[name.slice(0, -4)]?.secret === true),
    );
    return [section, Object.fromEntries(kept)] as const;
  });
  return Object.fromEntries(sections);
}

async function readRoutes(text: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "dinp-docs-"));
  try {
    const path = join(folder, "routes.json");
    await writeFile(path, text);
    await readRouteFile(path);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The manifest of a package that is made for this one. */
function readPackage(text: string): void {
  const { version } = parsePackage(readFileSync(join(projectRoot, "package.json"), "utf8"));
  const { peerDependencies } = parsePackage(text);
  const [wanted, said] = [`^${version ?? ""}`, peerDependencies?.["@dinp/core"] ?? "nothing"];
  if (said !== wanted) throw new Error(`it needs @dinp/core ${wanted} as a peer and says ${said}`);
}

function parsePackage(text: string): {
  readonly version?: string;
  readonly peerDependencies?: Readonly<Record<string, string>>;
} {
  return JSON.parse(text) as ReturnType<typeof parsePackage>;
}

/** What is wrong with blocks that show files, and with blocks that no check knows. */
async function fileErrors(shown: readonly CodeBlock[]): Promise<readonly string[]> {
  const errors: string[] = [];
  for (const block of shown) {
    const { language, about, text } = block;
    if (language === "ts" || language === "sh" || UNCHECKED.has(language)) continue;
    const kind = `${language} ${about}`.trim();
    try {
      if (!Object.hasOwn(readers, kind))
        throw new Error(`nothing checks a block of "${kind}" (known: ${known})`);
      await readers[kind]?.(text);
    } catch (error) {
      errors.push(`${placeOf(block)} ${messageOf(error)}`);
    }
  }
  return errors;
}

function inLanguage(language: string): readonly CodeBlock[] {
  return blocks.filter((block) => block.language === language);
}

describe("the documentation", () => {
  test("has programs that compile", () => {
    expect(typeErrors(inLanguage("ts"))).toEqual([]);
  }, 240_000);

  test("has commands that the programs take", async () => {
    expect(await commandErrors(inLanguage("sh"))).toEqual([]);
  });

  test("has files that their readers take", async () => {
    expect(await fileErrors(blocks)).toEqual([]);
  });

  test("names commands and flags in its text that there are", async () => {
    expect(await spanErrors(pages.flatMap((page) => page.spans))).toEqual([]);
  });
});

describe("the checks of the documentation", () => {
  function blocksOf(...lines: string[]): readonly CodeBlock[] {
    return readPage("page.md", lines.join("\n")).blocks;
  }

  test("find what does not compile, and imports that a reader does not have", () => {
    const wrong = blocksOf(
      "```ts",
      "// one.ts",
      'import { newId } from "@dinp/core";',
      'import { x } from "@dinp/core/sql";',
      "export const id: number = newId(x);",
      "```",
      "",
      "```ts",
      'import { id } from "./one.js";',
      'import { run } from "commander";',
      "const list: string[] = [];",
      "list[id].length + run;",
      "```",
    );
    const errors = typeErrors(wrong);
    expect(errors).toContain("page.md:2 imports @dinp/core/sql, which its reader does not have");
    expect(errors).toContain("page.md:5 Expected 2 arguments, but got 1.");
    expect(errors).toContain("page.md:9 imports commander, which its reader does not have");
    expect(errors).toContain("page.md:12 Object is possibly 'undefined'.");
  }, 240_000);

  test("find commands and flags that there are not, with their lines", async () => {
    const wrong = blocksOf(
      "```sh",
      "npx dinp push app --app shop # a comment",
      "cd app && dinp pusj | dinp logs shop --folow",
      "DINP_API=http://127.0.0.1:1 dinp apps; npm run nothing",
      "dinp-router --routes routes.json --lissen 1",
      "brew install dinp",
      "node scripts/gone.mjs",
      "```",
    );
    const errors = await commandErrors(wrong);
    expect(errors.map((error) => error.split("\n")[0])).toEqual([
      "page.md:3 dinp pusj: error: Unknown command 'pusj'",
      "page.md:3 dinp logs shop --folow: error: Unknown option '--folow'",
      "page.md:4 npm run nothing: there is no script nothing",
      expect.stringMatching(/^page\.md:5 dinp-router .*ConfigError: Unknown option '--lissen'/),
      expect.stringMatching(/^page\.md:6 brew install dinp: an unknown program/),
      "page.md:7 node scripts/gone.mjs: there is no scripts/gone.mjs",
    ]);
  });

  test("find commands and flags in the text that there are not", async () => {
    const { spans } = readPage(
      "page.md",
      "`dinp push DIR --app NAME`, `dinp ship`, `dinp env set APP`\n\n`dinp push --fast`, `dinp-router --chek`, `dinp`, `dinp stop|halt APP`",
    );
    expect(await spanErrors(spans)).toEqual([
      "page.md:1 dinp ship: there is no such command",
      "page.md:3 dinp push --fast: there is no --fast",
      "page.md:3 dinp-router --chek: there is no --chek",
      "page.md:3 dinp stop|halt APP: there is no such command",
    ]);
  });

  test("find files that cannot be used, and blocks that nothing checks", async () => {
    const wrong = blocksOf(
      "```yaml dinp.yaml",
      "instanzes: 2",
      "```",
      "",
      "```json routes.json",
      '{"routes": [{"host": "A"}]}',
      "```",
      "```yaml",
      "a: 1",
      "```",
      "```rust",
      "```",
      "```text",
      "```",
    );
    expect(await fileErrors(wrong)).toEqual([
      expect.stringMatching(/^page\.md:2 .*instanzes/),
      expect.stringMatching(/^page\.md:6 .*host/),
      expect.stringMatching(/^page\.md:9 nothing checks a block of "yaml" \(known: ts, sh, .*routes\.json/),
      expect.stringMatching(/^page\.md:12 nothing checks a block of "rust"/),
    ]);
  });

  test("take commands apart as a shell does", () => {
    const text = `A=1 B=2 dinp push "my app" --env 'X=1 2' \\\n  --wait # why\n\n# only a comment\nx | y`;
    expect(commandsOf(text)).toEqual([
      { line: 0, words: ["dinp", "push", "my app", "--env", "X=1 2", "--wait"] },
      { line: 3, words: ["x"] },
      { line: 3, words: ["y"] },
    ]);
  });
});
