import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { placeOf, projectRoot, type CodeBlock } from "./markdown.js";

/** What programs in the documentation may import besides the package's entries, Node's modules and each other. */
const OTHER_PACKAGES: ReadonlySet<string> = new Set(["vitest"]);

/** The name of a block that is a file of its own: its first line says it, `// tcp-prober.ts`. */
export function fileNameOf(block: CodeBlock): string | null {
  return /^\/\/ ([a-z0-9.-]+\.ts)\n/.exec(block.text)?.[1] ?? null;
}

/**
 * What a strict compiler says of these blocks, each a module. Those of one page that are named files can import each
 * other. They may import what a user of the package has.
 */
export function typeErrors(blocks: readonly CodeBlock[]): readonly string[] {
  const files = new Map(blocks.map((block, index) => [pathOf(block, index), block]));
  const options = compilerOptions();
  const host = hostWith(files, options);
  const program = ts.createProgram([...files.keys()], options, host);
  return [...files].flatMap(([path, block]) => {
    const source = program.getSourceFile(path);
    if (source === undefined) return [`${placeOf(block)} was not read`];
    const diagnostics = [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source),
    ].map((diagnostic) => {
      const { line } = source.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
      const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n");
      return `${placeOf({ page: block.page, line: block.line + line })} ${text}`;
    });
    return [...foreignImports(block), ...diagnostics];
  });
}

function pathOf(block: CodeBlock, index: number): string {
  const page = block.page.replaceAll(/[^a-z0-9]+/gi, "-");
  return join(projectRoot, "documentation", page, fileNameOf(block) ?? `block-${String(index)}.ts`);
}

function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(projectRoot, "tsconfig.json"), (path) =>
    readFileSync(path, "utf8"),
  ) as { config: { compilerOptions: unknown } };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, projectRoot);
  return { ...options, allowJs: false, checkJs: false };
}

/** What every program reads: parsed once. */
const sources = new Map<string, ts.SourceFile | undefined>();

function hostWith(files: ReadonlyMap<string, CodeBlock>, options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options);
  const textOf = (path: string): string | undefined => files.get(path)?.text;
  return {
    ...host,
    fileExists: (path) => files.has(path) || host.fileExists(path),
    readFile: (path) => textOf(path) ?? host.readFile(path),
    directoryExists: (path) =>
      [...files.keys()].some((file) => file.startsWith(`${path}/`)) ||
      (host.directoryExists?.(path) ?? false),
    getSourceFile: (path, target, ...rest) => {
      const text = textOf(path);
      if (text !== undefined) return ts.createSourceFile(path, text, target, true);
      const source = sources.get(path) ?? host.getSourceFile(path, target, ...rest);
      sources.set(path, source);
      return source;
    },
  };
}

function foreignImports(block: CodeBlock): readonly string[] {
  const { exports } = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, unknown>>;
  };
  return ts.preProcessFile(block.text).importedFiles.flatMap(({ fileName }) => {
    if (/^(node:|\.\/)/.test(fileName) || OTHER_PACKAGES.has(fileName)) return [];
    const entry = fileName.replace(/^@dinp\/core/, ".");
    if (entry !== fileName && entry in exports) return [];
    return [`${placeOf(block)} imports ${fileName}, which its reader does not have`];
  });
}
