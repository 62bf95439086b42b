import { DinpError } from "../model/errors.js";
import type { ByteStream, Descriptor } from "../ports/registry.js";
import { quoted } from "./text.js";

/** JSON out of images that others made. */

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `DINP_ARCHIVE_REFUSED` unless the text is a JSON object; `what` names it. */
export function parseJsonObject(text: string, what: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch (cause) {
    throw new DinpError("DINP_ARCHIVE_REFUSED", `The image's ${what} is not JSON.`, { cause });
  }
  throw new DinpError("DINP_ARCHIVE_REFUSED", `The image's ${what} is not a JSON object.`);
}

/** Null unless the value is a content descriptor (image-spec 1.1, descriptor.md). */
export function descriptorOf(value: unknown): Descriptor | null {
  if (!isObject(value)) return null;
  const { mediaType, digest, size } = value;
  if (typeof mediaType !== "string" || typeof digest !== "string") return null;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) return null;
  return { mediaType, digest, size };
}

/** The UTF-8 text of a stream; `DINP_ARCHIVE_REFUSED` when it is longer than `bytesMax`, or not UTF-8. */
export async function collectText(bytes: ByteStream, bytesMax: number, what: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of bytes) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > bytesMax)
      throw new DinpError("DINP_ARCHIVE_REFUSED", `${quoted(what)} has more than ${String(bytesMax)} bytes.`);
  }
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(whole);
  } catch (cause) {
    throw new DinpError("DINP_ARCHIVE_REFUSED", `${quoted(what)} is not UTF-8 text.`, { cause });
  }
}
