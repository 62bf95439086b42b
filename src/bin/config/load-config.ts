import { readFile, stat } from "node:fs/promises";
import { parseArgs, type ParseArgsConfig } from "node:util";
import { DinpError, messageOf, nearest } from "@dinp/core";
import { parseYaml } from "@dinp/core/yaml";
import { flagOf, keyOf, variableOf, type SettingName } from "./names.js";
import { reasonOf, type Setting, type Settings, type ValuesOf } from "./setting.js";

/** Where values come from: flags before variables of the environment before the file before defaults. */
export interface ConfigSources {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The section whose flags need no prefix. */
  readonly ownSection: string;
  /** Sections and names that other programs read from the same file: they are passed over. */
  readonly known: Settings;
}

/** What the command line asks for besides values. */
export interface CommonFlags {
  readonly help: boolean;
  readonly version: boolean;
  readonly check: boolean;
}

export interface LoadedConfig<S extends Settings> {
  readonly values: ValuesOf<S>;
  /** Where each value came from, by key, for people: `--listen`, `DINP_STORE_URL`, `/etc/dinp.yaml`, `default`. */
  readonly origins: ReadonlyMap<string, string>;
  /** The keys whose values must never be shown. */
  readonly secrets: ReadonlySet<string>;
}

/** A configuration that cannot be used: a line for each thing that is wrong. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

const FILE_BYTES_MAX = 1024 * 1024;
const SHOWN_MAX = 80;

interface Given {
  readonly text: string;
  readonly from: string;
}

interface Named {
  readonly at: SettingName;
  readonly key: string;
  readonly setting: Setting<unknown>;
}

/** The flags that every program has. Never throws for a wrong configuration; {@link ConfigError} for flags that do not exist. */
export function readCommonFlags(settings: Settings, { args, ownSection }: ConfigSources): CommonFlags {
  const { values } = parseFlags(settings, args, ownSection);
  return {
    help: values["help"] === true,
    version: values["version"] === true,
    check: values["check-config"] === true,
  };
}

/** Reads the configuration; {@link ConfigError} names every key whose value is missing or wrong. */
export async function loadConfig<S extends Settings>(
  settings: S,
  sources: ConfigSources,
): Promise<LoadedConfig<S>> {
  const problems: string[] = [];
  const flags = parseFlags(settings, sources.args, sources.ownSection).values;
  const path = flags["config"] ?? sources.env["DINP_CONFIG"];
  const file =
    typeof path === "string" && path !== "" ? await readConfigFile(path, sources.known, problems) : null;
  // What is missing may be in the file that could not be read.
  if (file === null && problems.length > 0) throw new ConfigError(problems);
  const origins = new Map<string, string>();
  const secrets = new Set<string>();
  const values: Record<string, Record<string, unknown>> = {};
  for (const named of namedOf(settings)) {
    const { at, key, setting } = named;
    if (setting.secret) secrets.add(key);
    const layers = [
      fromFlags(named, flags, sources.ownSection),
      fromEnv(named, sources.env),
      fromFile(named, file),
    ];
    const section = (values[at.section] ??= {});
    section[at.name] = await valueOf(named, layers, origins, problems, sources.ownSection);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  // Every value was made by its own setting.
  return { values: values as ValuesOf<S>, origins, secrets };
}

async function valueOf(
  { at, key, setting }: Named,
  layers: readonly Layer[],
  origins: Map<string, string>,
  problems: string[],
  ownSection: string,
): Promise<unknown> {
  try {
    for (const layer of layers) {
      const given = layer.value ?? (layer.file === null ? null : await fromSecretFile(layer.file));
      if (given === null) continue;
      origins.set(key, given.from);
      return parseGiven(key, setting, given);
    }
    origins.set(key, "default");
    if (setting.default !== null) return setting.parse(setting.default);
    if (setting.optional) return null;
    const or = setting.secret ? ` or ${variableOf(at)}_FILE` : "";
    throw new Error(
      `${key} is missing: ${setting.doc}. Give it in the file, as ${variableOf(at)}${or}, or with --${flagOf(at, ownSection)}`,
    );
  } catch (error) {
    problems.push(reasonOf(error));
    return null;
  }
}

function parseGiven(key: string, setting: Setting<unknown>, { text, from }: Given): unknown {
  try {
    return setting.parse(text);
  } catch (error) {
    const shown = setting.secret ? "its value is not shown" : `not ${quote(text)}`;
    throw new Error(`${key} ${reasonOf(error)}, ${shown} (from ${from})`, { cause: error });
  }
}

interface Layer {
  readonly value: Given | null;
  /** The file that the value is in. */
  readonly file: Given | null;
}

function fromFlags({ at, setting }: Named, flags: Flags, ownSection: string): Layer {
  const flag = flagOf(at, ownSection);
  return {
    value: given(flags[flag], `--${flag}`),
    file: setting.secret ? given(flags[`${flag}-file`], `--${flag}-file`) : null,
  };
}

function fromEnv({ at, setting }: Named, env: ConfigSources["env"]): Layer {
  const variable = variableOf(at);
  return {
    value: given(env[variable], variable),
    file: setting.secret ? given(env[`${variable}_FILE`], `${variable}_FILE`) : null,
  };
}

function fromFile({ at, setting }: Named, file: ConfigFile | null): Layer {
  if (file === null) return { value: null, file: null };
  const section = file.sections.get(at.section);
  return {
    value: given(section?.get(at.name), file.path),
    file: setting.secret ? given(section?.get(`${at.name}File`), file.path) : null,
  };
}

function given(value: unknown, from: string): Given | null {
  // An empty variable is one that is not set, as in shells' ${NAME:-default}.
  return typeof value === "string" && value !== "" ? { text: value, from } : null;
}

async function fromSecretFile({ text: path, from }: Given): Promise<Given> {
  try {
    const { size } = await stat(path);
    if (size > FILE_BYTES_MAX) throw new Error("it is larger than 1 MiB");
    return {
      text: (await readFile(path, "utf8")).replace(/\r?\n$/, ""),
      from: `${path}, which ${from} names`,
    };
  } catch (error) {
    throw new Error(`the file ${quote(path)} cannot be read (${messageOf(error)}); ${from} names it`, {
      cause: error,
    });
  }
}

type Flags = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

function parseFlags(
  settings: Settings,
  args: readonly string[],
  ownSection: string,
): { readonly values: Flags } {
  const options: NonNullable<ParseArgsConfig["options"]> = {
    config: { type: "string" },
    "check-config": { type: "boolean" },
    version: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  };
  for (const { at, setting } of namedOf(settings)) {
    const name = flagOf(at, ownSection);
    options[name] = { type: "string" };
    if (setting.secret) options[`${name}-file`] = { type: "string" };
  }
  try {
    return parseArgs({ args: [...args], strict: true, allowPositionals: false, options });
  } catch (error) {
    throw new ConfigError([messageOf(error)]);
  }
}

interface ConfigFile {
  readonly path: string;
  readonly sections: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

async function readConfigFile(path: string, known: Settings, problems: string[]): Promise<ConfigFile | null> {
  try {
    const { size } = await stat(path);
    if (size > FILE_BYTES_MAX) throw new Error("it is larger than 1 MiB");
    const value: unknown = parseYaml(await readFile(path, "utf8"));
    return { path, sections: sectionsOf(value, known, path, problems) };
  } catch (error) {
    problems.push(`the configuration file ${quote(path)} cannot be used: ${reasonOf(error)}`);
    return null;
  }
}

function sectionsOf(
  value: unknown,
  known: Settings,
  path: string,
  problems: string[],
): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const sections = new Map<string, ReadonlyMap<string, string>>();
  if (value === null || value === undefined) return sections;
  if (!isObject(value))
    throw new Error('it must be sections with values, such as "store:" with "  url: …" below it');
  for (const [section, content] of Object.entries(value)) {
    const settings = Object.hasOwn(known, section) ? known[section] : undefined;
    if (settings === undefined) {
      problems.push(`${section} is no section${meant(section, Object.keys(known))} (from ${path})`);
      continue;
    }
    if (content === null) continue;
    if (!isObject(content)) {
      problems.push(`${section} must be a section with values below it (from ${path})`);
      continue;
    }
    sections.set(section, textsOf(section, content, settings, path, problems));
  }
  return sections;
}

function textsOf(
  section: string,
  content: Readonly<Record<string, unknown>>,
  settings: Settings[string],
  path: string,
  problems: string[],
): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  const names = Object.entries(settings).flatMap(([name, { secret }]) => [
    name,
    ...(secret ? [`${name}File`] : []),
  ]);
  for (const [name, value] of Object.entries(content)) {
    if (!names.includes(name)) {
      problems.push(`${section}.${name} is no setting${meant(name, names, `${section}.`)} (from ${path})`);
      continue;
    }
    if (value === null) continue;
    const text = textOf(value, settings[name]?.list === true);
    if (text === null) problems.push(`${section}.${name} must be a single value (from ${path})`);
    else texts.set(name, text);
  }
  return texts;
}

function textOf(value: unknown, isList: boolean): string | null {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (!isList || !Array.isArray(value)) return null;
  const items = value.map((item: unknown) => textOf(item, false));
  return items.every((item) => item !== null && !item.includes(",")) ? items.join(",") : null;
}

/** `; did you mean store?` for a name that is nearly one of those that there are. */
function meant(name: string, names: readonly string[], prefix = ""): string {
  const near = nearest(name, names);
  return near === null ? "" : `; did you mean ${prefix}${near}?`;
}

export function namedOf(settings: Settings): readonly Named[] {
  return Object.entries(settings).flatMap(([section, names]) =>
    Object.entries(names).map(([name, setting]) => {
      const at = { section, name };
      return { at, key: keyOf(at), setting };
    }),
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function quote(value: string): string {
  return JSON.stringify(value.length > SHOWN_MAX ? `${value.slice(0, SHOWN_MAX - 1)}…` : value);
}

/** As a {@link DinpError}, for those who compose programs of their own. */
export function asInvalid(error: ConfigError): DinpError {
  return new DinpError("DINP_INVALID", error.message, { cause: error });
}
