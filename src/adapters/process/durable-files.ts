import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Replaces a file so that a reader sees the old or the new content, also after a crash of the machine. */
export async function writeDurably(file: string, value: unknown): Promise<void> {
  const temporary = `${file}.tmp`;
  const handle = await open(temporary, "w", 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(value)}\n`, "utf8");
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  await syncFolder(dirname(file));
}

/** Makes the names in a folder durable. */
export async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder with exactly this mode, whatever the umask says. */
export async function makeFolder(dir: string, mode: number): Promise<void> {
  await mkdir(dir, { recursive: true, mode });
  const handle = await open(dir, "r");
  try {
    await handle.chmod(mode);
  } finally {
    await handle.close();
  }
}

/** The text of a file; null when there is none. */
export async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (isNotThere(error)) return null;
    throw error;
  }
}

/** Whether a call failed because there is no such file or folder. */
export function isNotThere(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
