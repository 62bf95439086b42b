import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DinpError, messageOf } from "@dinp/core";

/** A file of the page, whole in memory. */
export interface PageFile {
  readonly type: string;
  readonly bytes: Uint8Array;
  /** A strong validator (RFC 9110 section 8.8.3). */
  readonly etag: string;
}

/** The files of the page by path; `/` is the page itself. */
export type PageFiles = ReadonlyMap<string, PageFile>;

const FILES = [
  { path: "/", name: "index.html", type: "text/html; charset=utf-8" },
  { path: "/dash.css", name: "dash.css", type: "text/css; charset=utf-8" },
  { path: "/dash.js", name: "dash.js", type: "text/javascript; charset=utf-8" },
  { path: "/icon.svg", name: "icon.svg", type: "image/svg+xml" },
] as const;

/** Reads the page from the folder that it was built to: `page/` beside the module `@dinp/core/dash`. `DINP_NOT_FOUND`. */
export async function readPageFiles(folder: string): Promise<PageFiles> {
  const read = async ({ path, name, type }: (typeof FILES)[number]): Promise<[string, PageFile]> => {
    const bytes = await readPageFile(join(folder, name));
    const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 32);
    return [path, { type, bytes, etag: `"${hash}"` }];
  };
  return new Map(await Promise.all(FILES.map(read)));
}

async function readPageFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new DinpError(
      "DINP_NOT_FOUND",
      `The dashboard's page ${path} cannot be read: ${messageOf(error)}.`,
      {
        hint: "Install @dinp/core again, or build it: `npm run build`.",
        cause: error,
      },
    );
  }
}
