import { DinpError } from "../model/errors.js";

/** What an app is made of: how it is recognized, what it needs, and how it starts when it does not say so itself. */
export interface Template {
  readonly name: string;
  /** For people: what at the archive's root makes an app one of these. */
  readonly recognizedBy: string;
  /** Programs that a node without images must have. */
  readonly requires: readonly string[];
  /** For people: where a command is looked for, after `dinp.yaml`, `Procfile` and `control`. */
  readonly commandFrom: string;
}

const node: Template = {
  name: "node",
  recognizedBy: "package.json (or server.js, index.js or app.js when there is no index.html)",
  requires: ["node"],
  commandFrom: "scripts.start or main in package.json, server.js, index.js, app.js",
};

const python: Template = {
  name: "python",
  recognizedBy: "requirements.txt or a .py file",
  requires: ["python3"],
  commandFrom: "main.py, app.py, server.py, wsgi.py",
};

const staticSite: Template = {
  name: "static",
  recognizedBy: "index.html",
  requires: [],
  commandFrom: "the built-in file server",
};

/** A program that brings all it needs; never guessed from files, so its command must be given. */
const plain: Template = {
  name: "plain",
  recognizedBy: "a command of its own",
  requires: [],
  commandFrom: "nothing: this template has no default command",
};

/** Every template, in the order in which they are tried. */
export const templates: readonly Template[] = Object.freeze([node, python, staticSite, plain]);

/** Interpreters that a command may name: nodes say which of them they have, so that a missing one is named at push. */
export const knownPrograms: readonly string[] = Object.freeze([
  "node",
  "python3",
  "java",
  "php",
  "ruby",
  "perl",
]);

/** The template of this name; `DINP_INVALID` names those that there are. */
export function templateNamed(name: string): Template {
  const found = templates.find((template) => template.name === name);
  if (found !== undefined) return found;
  throw new DinpError("DINP_INVALID", `There is no template ${JSON.stringify(name.slice(0, 80))}.`, {
    hint: `Templates: ${templates.map((template) => template.name).join(", ")}.`,
    details: { field: "template" },
  });
}

/**
 * The template of an app with these names at its root (files and folders): the one `wanted` by name, else the first of
 * `node` (package.json), `python` (requirements.txt, `*.py`), `static` (index.html), `node` (server.js, index.js,
 * app.js), else `plain`. `DINP_INVALID` when `wanted` is none.
 */
export function chooseTemplate(rootNames: ReadonlySet<string>, wanted?: string): Template {
  if (wanted !== undefined) return templateNamed(wanted);
  if (rootNames.has("package.json")) return node;
  if (rootNames.has("requirements.txt") || [...rootNames].some((name) => name.endsWith(".py"))) return python;
  if (rootNames.has("index.html")) return staticSite;
  return nodeEntryFiles.some((name) => rootNames.has(name)) ? node : plain;
}

/** What `node` is given when package.json names nothing, in this order. */
export const nodeEntryFiles: readonly string[] = Object.freeze(["server.js", "index.js", "app.js"]);

/** What `python3` is given, in this order. */
export const pythonEntryFiles: readonly string[] = Object.freeze([
  "main.py",
  "app.py",
  "server.py",
  "wsgi.py",
]);

/** Starts the file server that runtimes and base images bring along, on `$PORT`, for the app's folder. */
export const staticCommand: readonly string[] = Object.freeze(["dinp-static", "."]);
