import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { DinpError, messageOf, type LocalState } from "@dinp/core";

const KEY = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/;

export interface FileLocalStateOptions {
  /** A folder of this state's own; made (0700) at the first write. */
  readonly dir: string;
}

/**
 * A {@link LocalState} of one file per key. A write is in a temporary file, synced, renamed over the old value, and the
 * folder is synced: after a crash a reader sees the old value or the new one. Writes of one key happen in call order.
 * Keys: 1 to 200 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. Errors: `DINP_INVALID` (key), `DINP_UNAVAILABLE`.
 */
export function createFileLocalState(options: FileLocalStateOptions): LocalState {
  const { dir } = options;
  const lastWrites = new Map<string, Promise<void>>();
  return {
    async read(key) {
      const file = fileOf(dir, key);
      try {
        return await readFile(file, "utf8");
      } catch (error) {
        if (isMissing(error)) return null;
        throw unavailable("read", file, error);
      }
    },
    async write(key, value) {
      const file = fileOf(dir, key);
      const mine = (lastWrites.get(key) ?? Promise.resolve())
        .catch(() => undefined)
        .then(() => replaceFile(dir, file, value));
      lastWrites.set(key, mine);
      try {
        await mine;
      } catch (error) {
        throw unavailable("write", file, error);
      } finally {
        if (lastWrites.get(key) === mine) lastWrites.delete(key);
      }
    },
  };
}

async function replaceFile(dir: string, file: string, value: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  // One name is enough: writes of a key take turns, and a crash's remainder is overwritten by the next write.
  const temporary = `${file}.tmp`;
  const handle = await open(temporary, "w", 0o600);
  try {
    await handle.writeFile(value, "utf8");
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  const folder = await open(dir, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function fileOf(dir: string, key: string): string {
  if (KEY.test(key)) return join(dir, `${key}.value`);
  throw new DinpError(
    "DINP_INVALID",
    `${JSON.stringify(key.slice(0, 80))} is not a key of the local state.`,
    {
      hint: "Use 1 to 200 of A-Z, a-z, 0-9, '.', '_' and '-', beginning with a letter or digit.",
    },
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function unavailable(verb: string, file: string, error: unknown): DinpError {
  return new DinpError("DINP_UNAVAILABLE", `Cannot ${verb} the local state in ${file}: ${messageOf(error)}`, {
    retryable: true,
    cause: error,
    hint: "Check that the disk is not full and that the folder belongs to this user.",
  });
}
