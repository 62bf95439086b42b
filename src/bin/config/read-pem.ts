import { readFile } from "node:fs/promises";
import { DinpError, messageOf } from "@dinp/core";

/** The text of a file of certificates or a key that the configuration names; null when it names none. `DINP_INVALID`. */
export async function readPem(key: string, path: string): Promise<string>;
export async function readPem(key: string, path: string | null): Promise<string | null>;
export async function readPem(key: string, path: string | null): Promise<string | null> {
  if (path === null) return null;
  try {
    const text = await readFile(path, "utf8");
    if (text.includes("-----BEGIN ")) return text;
  } catch (error) {
    throw new DinpError("DINP_INVALID", `${key} ${path} cannot be read: ${messageOf(error)}.`, {
      cause: error,
    });
  }
  throw new DinpError("DINP_INVALID", `${key} ${path} is not in PEM: it has no line -----BEGIN ….`);
}
