import { readFile } from "node:fs/promises";
import {
  builtInTemplates,
  DinpError,
  extendTemplates,
  messageOf,
  parseTemplates,
  type JsonValue,
  type Template,
} from "@dinp/core";

/** The templates of the platform, and before them those in an operator's file. `DINP_INVALID` names the file. */
export async function readTemplates(file: string | null): Promise<readonly Template[]> {
  if (file === null) return builtInTemplates;
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw new DinpError("DINP_INVALID", `The templates cannot be read: ${messageOf(cause)}.`, { cause });
  }
  return extendTemplates(builtInTemplates, parseTemplates(await yamlOf(text, file), file));
}

async function yamlOf(text: string, file: string): Promise<JsonValue> {
  const { parseYaml } = await import("@dinp/core/yaml");
  try {
    return parseYaml(text);
  } catch (cause) {
    throw new DinpError("DINP_INVALID", `${file}: ${messageOf(cause)}`, { cause });
  }
}
