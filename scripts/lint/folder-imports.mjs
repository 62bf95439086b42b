import { isBuiltin } from "node:module";
import { posix, relative, sep } from "node:path";
import { drivers, rows } from "./folders.mjs";

const PACKAGE = "@dinp/core";

/** @typedef {{ messageId: string, data: Record<string, string> }} Refusal */

/**
 * The folder that holds `path` and that a `folder` of the table names, or null when there is none.
 *
 * @param {string} folder
 * @param {string} path Relative to the project, with `/`.
 */
function folderOf(folder, path) {
  const ownFilesOnly = folder.endsWith("/.");
  const wanted = (ownFilesOnly ? folder.slice(0, -2) : folder).split("/");
  const found = path.split("/").slice(0, -1);
  if (ownFilesOnly ? found.length !== wanted.length : found.length < wanted.length) return null;
  const matches = wanted.every((name, i) => name === "*" || name === found[i]);
  return matches ? found.slice(0, wanted.length).join("/") : null;
}

/** The npm package that a specifier belongs to. @param {string} specifier */
function packageOf(specifier) {
  const parts = specifier.split("/");
  return parts.slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

/**
 * Why the file `path` may not import `specifier`, or null when it may.
 *
 * @param {string} path Relative to the project, with `/`.
 * @param {string} specifier
 * @returns {Refusal | null}
 */
function refusalOf(path, specifier) {
  const row = rows.find((one) => folderOf(one.folder, path) !== null);
  if (row === undefined) return { messageId: "noRow", data: { folder: posix.dirname(path) } };
  const folder = folderOf(row.folder, path) ?? row.folder;

  if (specifier.startsWith(".")) return ofRelative(row, path, posix.join(posix.dirname(path), specifier));
  if (isBuiltin(specifier))
    return row.node === true ? null : { messageId: "node", data: { folder, specifier } };
  const name = packageOf(specifier);
  if (name === PACKAGE) {
    const allowed = row.names?.some((pattern) => pattern.test(specifier)) === true;
    return allowed ? null : { messageId: "publicName", data: { folder, specifier } };
  }
  const homes = drivers[name] ?? rows.filter((one) => one.packages?.includes(name)).map((one) => one.folder);
  if (homes.includes(folder)) return null;
  if (homes.length === 0) return { messageId: "package", data: { folder, name } };
  return { messageId: "driver", data: { folder, name, homes: homes.join(" and ") } };
}

/**
 * @param {import("./folders.mjs").Row} row
 * @param {string} path
 * @param {string} target
 * @returns {Refusal | null}
 */
function ofRelative(row, path, target) {
  const folder = folderOf(row.folder, path) ?? row.folder;
  const own = row.folder.endsWith("/.") ? row.folder : folder;
  const allowed = row.folders ?? [];
  if ([own, ...allowed].some((one) => folderOf(one, target) !== null)) return null;
  const data = { folder, target: posix.dirname(target), may: allowed.join(", ") || "no other folder" };
  return { messageId: row.names === undefined ? "folder" : "reachesIn", data };
}

/** @type {import("eslint").Rule.RuleModule} */
export const folderImports = {
  meta: {
    type: "problem",
    schema: [],
    messages: {
      noRow: "{{folder}} has no row in scripts/lint/folders.mjs: say there what it may import.",
      folder: "{{folder}} may not import {{target}}; it may import {{may}}.",
      reachesIn: "{{folder}} may not reach into {{target}}: it imports public names, as outsiders do.",
      publicName: "{{folder}} may not import {{specifier}}.",
      node: "{{folder}} imports no Node module ({{specifier}}): what it needs comes through a port.",
      package:
        "{{folder}} may not import the package {{name}}; a driver needs its row in scripts/lint/folders.mjs.",
      driver: "{{folder}} may not import the package {{name}}: it lives in {{homes}} only.",
      computed: "Core imports by literal names only, so that they can be checked.",
    },
  },
  create(context) {
    const path = relative(context.cwd, context.filename).split(sep).join("/");
    /** @param {import("estree").Node | null | undefined} source */
    const check = (source) => {
      if (source === null || source === undefined) return;
      if (source.type === "Literal" && typeof source.value === "string") {
        const refusal = refusalOf(path, source.value);
        if (refusal !== null) context.report({ node: source, ...refusal });
      } else if (path.startsWith("src/core/")) {
        context.report({ node: source, messageId: "computed" });
      }
    };
    return {
      ImportDeclaration: (node) => check(node.source),
      ExportNamedDeclaration: (node) => check(node.source),
      ExportAllDeclaration: (node) => check(node.source),
      ImportExpression: (node) => check(node.source),
      /** @param {{ source: import("estree").Node }} node */
      TSImportType: (node) => check(node.source),
      /** @param {{ expression: import("estree").Node }} node */
      TSExternalModuleReference: (node) => check(node.expression),
    };
  },
};
