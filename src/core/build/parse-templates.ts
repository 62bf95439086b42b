import { DinpError, type JsonValue } from "../model/errors.js";
import { readCheck } from "../model/manifest-check.js";
import { assertCommand } from "../model/manifest.js";
import {
  assertKnownKeys,
  badValue,
  isJsonList,
  isJsonObject,
  own,
  readIn,
  readInteger,
  readText,
  type JsonObject,
} from "../model/manifest-values.js";
import { argumentsOf } from "./choose-command.js";
import {
  fallbackTemplate,
  filePlaceholder,
  type CommandSource,
  type Recognition,
  type Template,
} from "./templates.js";

const TEMPLATE_KEYS = [
  "name",
  "description",
  "recognize",
  "base",
  "unpack",
  "command",
  "build",
  "port",
  "check",
  "requires",
];
const TEMPLATES_MAX = 100;
const ITEMS_MAX = 50;
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const PROGRAM = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/;

/**
 * The templates that a parsed file stands for, in its order: `{templates: [{name, description, recognize, base, unpack,
 * command, build, port, check, requires}]}`; docs/templates.md says what each means. `DINP_INVALID` names `source`, the
 * template and the key.
 */
export function parseTemplates(value: JsonValue, source: string): readonly Template[] {
  return readIn(source, () => {
    const list = isJsonObject(value) ? own(value, "templates") : undefined;
    if (!isJsonObject(value) || list === undefined || !isJsonList(list) || list.length > TEMPLATES_MAX) {
      throw badValue("templates", list ?? null, `a list of at most ${String(TEMPLATES_MAX)} templates`);
    }
    assertKnownKeys(value, ["templates"], "");
    const templates = list.map((item, index) => readTemplate(item, index));
    const twice = templates.find(({ name }, index) => templates.findIndex((t) => t.name === name) < index);
    if (twice === undefined) return templates;
    throw new DinpError("DINP_INVALID", `There are two templates of the name "${twice.name}".`);
  });
}

/** The templates of an operator before those that are there; one of the same name takes the other's place. */
export function extendTemplates(
  templates: readonly Template[],
  added: readonly Template[],
): readonly Template[] {
  const names = new Set(added.map(({ name }) => name));
  return [...added, ...templates.filter(({ name }) => !names.has(name))];
}

function readTemplate(value: JsonValue, index: number): Template {
  const place = `templates[${String(index)}]`;
  if (!isJsonObject(value)) throw badValue(place, value, "a map with a name");
  const name = own(value, "name") ?? null;
  if (typeof name !== "string" || !NAME.test(name)) {
    throw badValue(`${place}.name`, name, "1 to 64 of a-z, 0-9 and '-', such as java-war");
  }
  return readIn(`the template "${name}"`, () => {
    assertKnownKeys(value, TEMPLATE_KEYS, "");
    const recognize = listAt(value, "recognize").map((item, at) =>
      readRule(item, `recognize[${String(at)}]`),
    );
    if (name === fallbackTemplate && recognize.length > 0) {
      throw badValue("recognize", own(value, "recognize") ?? null, "absent: this one is for all other apps");
    }
    return {
      name,
      description: readText("description", own(value, "description") ?? null, 200, "one line of text"),
      recognize,
      base: readBase(own(value, "base")),
      keepAs: readUnpack(own(value, "unpack")),
      command: listAt(value, "command").map((item, at) => readSource(item, `command[${String(at)}]`)),
      port: readPort(own(value, "port")),
      check: readCheck(own(value, "check") ?? {}),
      ...readBuild(value),
      requires: listAt(value, "requires").map((item, at) => {
        if (typeof item === "string" && PROGRAM.test(item)) return item;
        throw badValue(`requires[${String(at)}]`, item, "a program's name without a path, such as ruby");
      }),
    };
  });
}

function readRule(value: JsonValue, place: string): Recognition {
  if (!isJsonObject(value)) throw badValue(place, value, "a map with upload, content or files");
  const [upload, content, files] = [own(value, "upload"), own(value, "content"), own(value, "files")];
  if (upload !== undefined) {
    assertKnownKeys(value, ["upload"], `${place}.`);
    return { by: "upload", names: patternsAt(value, "upload", place, false) };
  }
  if (content !== undefined) {
    assertKnownKeys(value, ["content"], `${place}.`);
    if (content !== "program") throw badValue(`${place}.content`, content, '"program"');
    return { by: "program" };
  }
  if (files === undefined) throw badValue(place, value, "a map with upload, content or files");
  assertKnownKeys(value, ["files", "without"], `${place}.`);
  const noneOf = own(value, "without") === undefined ? [] : patternsAt(value, "without", place, true);
  return { by: "files", anyOf: patternsAt(value, "files", place, true), noneOf };
}

function readSource(value: JsonValue, place: string): CommandSource {
  if (!isJsonObject(value)) throw badValue(place, value, "a map with package_json, files and run, or run");
  const field = own(value, "package_json");
  if (field !== undefined) {
    assertKnownKeys(value, ["package_json"], `${place}.`);
    if (field !== "start" && field !== "main")
      throw badValue(`${place}.package_json`, field, '"start" or "main"');
    return { from: "package-json", field };
  }
  assertKnownKeys(value, ["files", "run"], `${place}.`);
  const run = readRun(own(value, "run") ?? null, `${place}.run`, own(value, "files") !== undefined);
  if (own(value, "files") === undefined) return { from: "template", run };
  return { from: "files", files: patternsAt(value, "files", place, true), run };
}

function readRun(value: JsonValue, place: string, hasFile: boolean): readonly string[] {
  const isCommand =
    typeof value === "string" || (isJsonList(value) && value.every((word) => typeof word === "string"));
  if (!isCommand) throw badValue(place, value, "a shell line or a list of words");
  assertCommand(value);
  const isFilled = (word: string): boolean =>
    hasFile && typeof value !== "string" && word === filePlaceholder;
  const words = typeof value === "string" ? [value] : value;
  if (words.some((word) => word.includes(filePlaceholder) && !isFilled(word))) {
    throw badValue(
      place,
      value,
      `without ${filePlaceholder}, or beside files a list in which ${filePlaceholder} is one word`,
    );
  }
  return argumentsOf(value);
}

function readBase(value: JsonValue | undefined): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "string" && NAME.test(value)) return value;
  throw badValue("base", value, "the name of a base image: 1 to 64 of a-z, 0-9 and '-'");
}

function readUnpack(value: JsonValue | undefined): string | null {
  if (value === undefined || value === "tree") return null;
  if (isJsonObject(value)) {
    assertKnownKeys(value, ["keep"], "unpack.");
    const name = own(value, "keep");
    if (typeof name === "string" && FILE_NAME.test(name)) return name;
  }
  throw badValue("unpack", value, '"tree", or {keep: NAME} with a plain file name, such as {keep: app.jar}');
}

function readBuild(value: JsonObject): Pick<Template, "build"> {
  const build = own(value, "build");
  if (build === undefined || build === "pack") return {};
  if (build !== "dockerfile") throw badValue("build", build, '"pack" or "dockerfile"');
  const base = own(value, "base") ?? null;
  if (base !== null) throw badValue("base", base, "absent: the Dockerfile names it");
  return { build };
}

function readPort(value: JsonValue | undefined): number | null {
  return value === undefined || value === "env" ? null : readInteger("port", value, 1, 65_535);
}

function listAt(value: JsonObject, key: string): readonly JsonValue[] {
  const list = own(value, key) ?? [];
  if (isJsonList(list) && list.length <= ITEMS_MAX) return list;
  throw badValue(key, list, `a list of at most ${String(ITEMS_MAX)}`);
}

function patternsAt(value: JsonObject, key: string, place: string, arePaths: boolean): readonly string[] {
  const list = own(value, key) ?? [];
  const items = isJsonList(list) ? list : [list];
  if (items.length === 0 || items.length > ITEMS_MAX) {
    throw badValue(`${place}.${key}`, list, `1 to ${String(ITEMS_MAX)} names`);
  }
  return items.map((item, index) => {
    if (typeof item === "string" && isPattern(item, arePaths)) return item;
    const allowed = 'a name such as index.php, with at most one "*" (*.war)';
    const path = arePaths ? ", or a path below the root without one, such as public/index.php" : "";
    throw badValue(`${place}.${key}[${String(index)}]`, item, `${allowed}${path}`);
  });
}

function isPattern(text: string, isPath: boolean): boolean {
  if (text === "" || text.length > 255 || /[\0-\x1f\x7f]/.test(text)) return false;
  if (text.indexOf("*") !== text.lastIndexOf("*")) return false;
  if (!text.includes("/")) return text !== "." && text !== "..";
  return isPath && !text.includes("*") && text.split("/").every((name) => !["", ".", ".."].includes(name));
}
