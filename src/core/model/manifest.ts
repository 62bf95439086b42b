import { limits } from "./defaults.js";
import { assertEnv } from "./env.js";
import { DinpError, type JsonValue } from "./errors.js";
import {
  assertKnownKeys,
  badValue,
  HOUR_MS,
  isJsonList,
  isJsonObject,
  own,
  readCpuMillis,
  readDurationMs,
  readIn,
  readInteger,
  readMemoryMb,
  readText,
  type Draft,
} from "./manifest-values.js";
import { readCheck } from "./manifest-check.js";
import { assertBaseName } from "./image-names.js";
import { assertAppName, isHostName } from "./names.js";
import type { AppManifest } from "./records.js";

const MANIFEST_KEYS = [
  "app",
  "template",
  "base",
  "command",
  "instances",
  "memory",
  "cpu",
  "env",
  "check",
  "stop_grace",
  "drain",
  "domains",
] as const;

const COMMAND_CHARACTERS_MAX = 32_768;

/**
 * The manifest that a parsed `dinp.yaml` stands for; null (an empty file) is a manifest without fields.
 *
 * Keys: `app`, `template`, `base`, `command` (shell line or list of words), `instances`, `memory` (megabytes, or `"256M"`,
 * `"1G"`), `cpu` (cores, `0.5`), `env` (names to scalars), `check` (`type`: `http` or `tcp`, `path`, `status`:
 * `"200-399"`, `interval`, `timeout`, `failures`, `successes`, `startup`), `stop_grace`, `drain`, `domains`. Durations
 * are text with their unit: `"500ms"`, `"10s"`, `"2m"`. Errors: `DINP_INVALID`, naming the key, the value and what is
 * allowed; an unknown key is an error that names the nearest known one.
 */
export function parseManifest(value: JsonValue): AppManifest {
  if (value === null) return {};
  if (!isJsonObject(value)) {
    throw new DinpError("DINP_INVALID", "dinp.yaml must hold keys and values, such as `instances: 2`.", {
      hint: `Known keys: ${MANIFEST_KEYS.join(", ")}.`,
    });
  }
  return readIn("dinp.yaml", () => {
    assertKnownKeys(value, MANIFEST_KEYS, "");
    const manifest: Draft<AppManifest> = {};
    for (const key of MANIFEST_KEYS) {
      const given = own(value, key);
      if (given !== undefined) readKey(manifest, key, given);
    }
    return manifest;
  });
}

function readKey(manifest: Draft<AppManifest>, key: (typeof MANIFEST_KEYS)[number], value: JsonValue): void {
  switch (key) {
    case "app":
      manifest.app = readText(key, value, 253, "the app's name");
      assertAppName(manifest.app);
      return;
    case "template":
      manifest.template = readText(key, value, 64, "a template's name");
      return;
    case "base":
      manifest.base = readText(key, value, 63, "a base image's name");
      assertBaseName(manifest.base);
      return;
    case "command":
      manifest.command = readCommand(key, value);
      return;
    case "instances":
      manifest.instances = readInteger(key, value, 0, limits.instancesMax);
      return;
    case "memory":
      manifest.memoryMb = readMemoryMb(key, value, limits.memoryMbMin, limits.memoryMbMax);
      return;
    case "cpu":
      manifest.cpuMillis = readCpuMillis(key, value, limits.cpuMillisMin, limits.cpuMillisMax);
      return;
    case "env":
      manifest.env = readEnv(value);
      return;
    case "check":
      manifest.check = readCheck(value);
      return;
    case "stop_grace":
      manifest.stopGraceMs = readDurationMs(key, value, 0, HOUR_MS);
      return;
    case "drain":
      manifest.drainMs = readDurationMs(key, value, 0, HOUR_MS);
      return;
    case "domains":
      manifest.domains = readDomains(value);
      return;
  }
}

/**
 * Throws `DINP_INVALID` unless `command` is a shell line or an argument vector that can be started: not empty, without
 * NUL, at most `limits.commandWordsMax` words and 32,768 characters.
 */
export function assertCommand(command: string | readonly string[]): void {
  readCommand("command", command);
}

function readCommand(key: string, value: JsonValue): string | readonly string[] {
  const allowed = `a shell line, or a list of 1 to ${String(limits.commandWordsMax)} words (at most ${String(COMMAND_CHARACTERS_MAX)} characters, no NUL)`;
  if (!isJsonList(value)) return readText(key, value, COMMAND_CHARACTERS_MAX, allowed);
  const words: string[] = [];
  let characters = 0;
  for (const word of value) {
    const text = typeof word === "number" ? String(word) : word;
    if (typeof text !== "string" || text.includes("\0")) throw badValue(key, value, allowed);
    characters += text.length + 1;
    words.push(text);
  }
  const fits = words.length > 0 && words.length <= limits.commandWordsMax;
  if (!fits || words[0] === "" || characters > COMMAND_CHARACTERS_MAX) throw badValue(key, value, allowed);
  return words;
}

function readEnv(value: JsonValue): Readonly<Record<string, string>> {
  if (!isJsonObject(value)) throw badValue("env", value, "a map of names to values");
  const entries = Object.entries(value).map(([name, given]): [string, string] => {
    if (typeof given === "string") return [name, given];
    if (typeof given === "number" || typeof given === "boolean") return [name, String(given)];
    const allowed = 'text, a number or true/false (write "" for an empty value)';
    throw badValue(`env.${name.slice(0, 80)}`, given, allowed);
  });
  const env = Object.fromEntries(entries);
  assertEnv(env);
  return env;
}

function readDomains(value: JsonValue): readonly string[] {
  const allowed = `a list of at most ${String(limits.domainsPerAppMax)} host names, such as [www.example.org]`;
  if (!isJsonList(value) || value.length > limits.domainsPerAppMax) throw badValue("domains", value, allowed);
  const domains = value.map((domain, index) => {
    const host = typeof domain === "string" ? domain.toLowerCase() : "";
    if (isHostName(host)) return host;
    const wanted = "a host name such as www.example.org, without scheme, port or path";
    throw badValue(`domains[${String(index)}]`, domain, wanted);
  });
  return [...new Set(domains)];
}
