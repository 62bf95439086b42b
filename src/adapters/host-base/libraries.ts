import { execFile } from "node:child_process";
import { open } from "node:fs/promises";
import { promisify } from "node:util";
import { codeOf } from "./program-paths.js";
import { DinpError } from "@dinp/core";

const execute = promisify(execFile);
const FILES_AT_ONCE = 50;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const TIMEOUT_MS = 60_000;
const ELF = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);

/**
 * The shared libraries, and the loader, that programs and libraries of this machine need, as `ldd` finds them; what it
 * does not find is passed over (plug-ins of what is not installed). `DINP_PROGRAM_MISSING` without `ldd`.
 */
export async function librariesOf(
  files: Iterable<string>,
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const binaries: string[] = [];
  for (const file of files) if (await isElf(file)) binaries.push(file);
  const found = new Set<string>();
  for (let at = 0; at < binaries.length; at += FILES_AT_ONCE) {
    for (const path of pathsIn(await ldd(binaries.slice(at, at + FILES_AT_ONCE), signal))) found.add(path);
  }
  return found;
}

/** What `ldd` prints, a line each: `libz.so.1 => /lib/libz.so.1 (0x…)`, or the loader's path alone. */
function* pathsIn(output: string): Generator<string, void, undefined> {
  for (const line of output.split("\n")) {
    const path = /^\s+(?:\S+ => )?(\/\S+) \(0x[0-9a-f]+\)$/.exec(line)?.[1];
    if (path !== undefined) yield path;
  }
}

async function ldd(files: readonly string[], signal: AbortSignal | undefined): Promise<string> {
  const options = {
    encoding: "utf8",
    maxBuffer: OUTPUT_BYTES_MAX,
    timeout: TIMEOUT_MS,
    env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C" },
    ...(signal === undefined ? {} : { signal }),
  } as const;
  try {
    return (await execute("ldd", files, options)).stdout;
  } catch (error) {
    if (codeOf(error) === "ENOENT") {
      throw new DinpError("DINP_PROGRAM_MISSING", "There is no ldd on this machine to find libraries with.", {
        hint: "Make the base another way: docker save IMAGE -o base.tar, then --from base.tar.",
      });
    }
    // It exits with 1 when one of the files is linked statically, having told of the others.
    if (typeof error === "object" && error !== null && "stdout" in error && codeOf(error) === 1) {
      return String(error.stdout);
    }
    throw error;
  }
}

async function isElf(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(ELF.length), 0, ELF.length, 0);
    return bytesRead === ELF.length && buffer.equals(ELF);
  } finally {
    await file.close();
  }
}
